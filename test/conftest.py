"""Lanes of the tests: `slow`, `ros` and `render` are left out of `make quick`.

What is slow was measured: `make durations` writes durations.json from a run of everything. New tests are quick until
then.
"""

import json
from pathlib import Path

import pytest

SLOW_S = 1.0
"""Seconds from which a test function, with all its parameters and fixtures, is slow."""

DURATIONS_S: dict[str, float] = json.loads((Path(__file__).parent / "durations.json").read_text())
"""By file and function without folders, so that a test may move."""

FIXTURES = {"domain": "ros", "renderer": "render"}
"""A process on DDS, an OpenGL context."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the marks of its lane."""
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', None) or item.name}"
        if DURATIONS_S.get(name, 0.0) >= SLOW_S:
            item.add_marker(pytest.mark.slow)
        for fixture, mark in FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
