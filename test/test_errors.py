"""Errors as a person, a process next door and an `except` meet them."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from prehend import errors
from prehend.errors import DISTRIBUTION, FramesMismatch, MissingDependency, PrehendError, UnknownName, how_to_install
from prehend.object_catalogue import find_object

OTHERS = (UnknownName, MissingDependency, FramesMismatch)

PLAIN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PrehendError) and kind not in OTHERS
]
ALL = [
    UnknownName("object", "unicorn", ["mug", "box"]),
    MissingDependency("trimesh", "meshes", "importing meshes"),
    FramesMismatch("weights look at single frames", 1),
    *(kind("clip.mp4: no such file") for kind in PLAIN),
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("through", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy], ids=["pickle", "copy"])
def test_an_error_comes_through_a_process_as_it_was(error, through):
    there = through(error)
    assert type(there) is type(error) and str(there) == str(error) and vars(there) == vars(error)


def test_a_worker_that_fails_tells_why_and_the_pool_goes_on():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for _ in range(2):
            with pytest.raises(UnknownName, match="unicorn"):
                pool.submit(find_object, {}, "unicorn").result(timeout=120)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidInput, ValueError),
        (errors.ParameterError, ValueError),
        (UnknownName, KeyError),
        (MissingDependency, ImportError),
        (errors.NotConnected, ConnectionError),
        (errors.WeightsMismatch, errors.AssetError),
        (errors.EngineMismatch, errors.AssetError),
    ],
)
def test_an_error_is_caught_by_the_name_python_has_for_it(kind, builtin):
    assert issubclass(kind, builtin) and issubclass(kind, PrehendError)


def test_an_unknown_name_lists_the_known_ones_in_order():
    error = UnknownName("object", "unicorn", iter(["mug", "box"]))
    assert str(error) == "unknown object 'unicorn': choose one of box, mug"
    assert (error.kind, error.name, error.available) == ("object", "unicorn", ["box", "mug"])
    assert "(none)" in str(UnknownName("object", "unicorn", []))


@pytest.mark.parametrize("installed", [True, False])
def test_a_missing_dependency_names_the_command_that_brings_it(monkeypatch, installed):
    if not installed:
        monkeypatch.setattr(errors, "DISTRIBUTION", "no-such-distribution-anywhere")
    else:
        monkeypatch.setattr(errors.metadata, "distribution", lambda name: name)
    said = str(MissingDependency("trimesh", "meshes", "importing meshes"))
    assert said.startswith("importing meshes needs 'trimesh': pip install '") and "\n" not in said
    assert (f"{DISTRIBUTION}[meshes]" in said) == installed and (".[meshes]" in said) != installed
    assert how_to_install("meshes") in said
