import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from prehend.backends import Backend, open_backend
from prehend.export.bundle import save_bundle
from prehend.models import registry
from prehend.weights import Bundle

sys.path.insert(0, str(Path(__file__).parent))

RUNNABLE = ("onnx", "torch")
"""Backends that need no GPU."""


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder that is not the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREHEND_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def hand_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights of unihope-s."""
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("weights") / "random"
    return save_bundle(registry.create("unihope-s"), folder, "unihope-s", {})


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Random weights of the smallest hand network."""
    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("weights") / "small"
    return save_bundle(registry.create("unihope-xs"), folder, "unihope-xs", {})


@pytest.fixture(scope="session", params=RUNNABLE)
def backend(request: pytest.FixtureRequest, hand_bundle: Bundle) -> Iterator[Backend]:
    """Each backend with these weights."""
    opened = open_backend(request.param, hand_bundle, threads=1)
    yield opened
    opened.close()
