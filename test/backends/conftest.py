from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from prehend.backends import BACKENDS, Backend, open_backend
from prehend.export.bundle import save_bundle
from prehend.models import registry
from prehend.weights import Bundle


@pytest.fixture(scope="session")
def hand_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights of unihope-s."""
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("weights") / "random"
    return save_bundle(registry.create("unihope-s"), folder, "unihope-s", {})


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, hand_bundle: Bundle) -> Iterator[Backend]:
    """Each backend with these weights."""
    opened = open_backend(request.param, hand_bundle, threads=1)
    yield opened
    opened.close()
