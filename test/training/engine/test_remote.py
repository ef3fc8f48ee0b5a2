"""What is decided of a Ray cluster before there is one."""

import os

import pytest
from engine_light import open_environment

from prehend_training.engine import EngineOptions, open_engine
from prehend_training.engine.remote import _first_line

pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No cluster and no choice of the user's, and both as they were afterwards."""
    for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def engine(**options):
    return open_engine(EngineOptions("ray", **options), open_environment)


def test_nothing_is_sent_to_its_makers_unless_somebody_wants_it(monkeypatch):
    engine()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    engine()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


def test_the_cluster_is_the_one_named_or_that_of_the_environment(monkeypatch):
    assert engine().address is None
    monkeypatch.setenv("RAY_ADDRESS", "ray://there:10001")
    assert engine().address == "ray://there:10001" and engine(address="auto").address == "auto"


def test_no_jobs_need_no_cluster():
    assert list(engine(address="127.0.0.1:1").map([])) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("it is gone\nat some place\nand time", "it is gone"),
        (
            "The actor died because of an error raised in its creation task, see\n  trace\nRuntimeError: no OpenGL",
            "RuntimeError: no OpenGL",
        ),
        ("", "ValueError"),
        ("  \n ", "ValueError"),
    ],
)
def test_of_an_error_the_line_that_tells_is_kept(text, line):
    assert _first_line(ValueError(text)) == line
