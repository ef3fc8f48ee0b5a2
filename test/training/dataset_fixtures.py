"""Made-up copies of the datasets for tests."""

import shutil

import dataset_writers as writers
import pytest


@pytest.fixture(scope="session")
def mano(tmp_path_factory):
    return writers.write_mano(tmp_path_factory.mktemp("mano"))


@pytest.fixture(scope="session")
def dexycb(tmp_path_factory):
    root = tmp_path_factory.mktemp("dexycb")
    return root, *writers.write_dexycb(root)


@pytest.fixture(scope="session")
def small_dexycb(tmp_path_factory):
    root = tmp_path_factory.mktemp("dexycb-small")
    writers.write_dexycb(root, sequences=(("left", 8),), filled=1, cameras=2)
    return root


@pytest.fixture(scope="session", params=["v2", "v3"])
def ho3d(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("ho3d")
    return f"ho3d_{request.param}", root, writers.write_ho3d(root, request.param)


@pytest.fixture(scope="session")
def freihand(tmp_path_factory):
    root = tmp_path_factory.mktemp("freihand")
    return root, writers.write_freihand(root)


@pytest.fixture(scope="session")
def hanco(tmp_path_factory):
    root = tmp_path_factory.mktemp("hanco")
    return root, *writers.write_hanco(root)


@pytest.fixture
def copied(tmp_path):
    """A copy that a test may spoil."""
    return lambda root: shutil.copytree(root, tmp_path / "copy")
