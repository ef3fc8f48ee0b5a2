"""Descriptions of objects with one value changed: each is refused by name in one line, or makes a whole object."""

import copy

import numpy as np
import pytest
import yaml

from prehend.errors import AssetError, InvalidInput
from prehend_training.objects import CATALOGUE, catalogue, read_solid
from prehend_training.objects.importer import import_mesh, write_object

JUNK = (None, "x", -1, float("nan"), float("inf"), {}, 1e9)
THINGS = ("hammer", "mug")


def description(name):
    return yaml.safe_load((CATALOGUE / f"{name}.yaml").read_text())


def written(tmp_path, entry):
    path = tmp_path / "thing.yaml"
    path.write_text(yaml.safe_dump(entry))
    return path


def places(value, at=()):
    """Ways to all values of a description; of lists to the first two."""
    if at:
        yield at
    children = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*at, key))


def with_value(entry, at, value):
    changed = copy.deepcopy(entry)
    node = changed
    for key in at[:-1]:
        node = node[key]
    node[at[-1]] = value
    return changed


@pytest.mark.parametrize("junk", JUNK, ids=str)
@pytest.mark.parametrize("name", THINGS)
def test_a_changed_value_is_refused_by_name_or_makes_a_whole_object(tmp_path, name, junk):
    entry, refused = description(name), 0
    every = list(places(entry))
    for at in every[JUNK.index(junk) % 3 :: 3]:  # a third of the places for each kind of junk
        path = written(tmp_path, with_value(entry, at, junk))
        try:
            solid = read_solid(path)
        except AssetError as error:
            refused += 1
            assert "thing.yaml" in str(error) and "\n" not in str(error), at
            continue
        mesh = solid.mesh()
        assert all(np.isfinite(part).all() for part in (mesh.vertices, mesh.normals, mesh.uv)), at
        assert np.isfinite(solid.distance(np.zeros((1, 3)))).all(), at
        assert (solid.stretch.sample(np.random.default_rng(0)) > 0).all(), at
    assert refused > len(every) // 20


@pytest.mark.parametrize(
    "stretch", [{"size": [1]}, {"size": [2, 1]}, {"size": [0, 1]}, {"wide": [1, None]}, {"far": [1, 2]}], ids=str
)
def test_impossible_stretches_are_told_when_the_object_is_read(tmp_path, stretch):
    """Not hours later, when the first scene with it is drawn."""
    with pytest.raises(AssetError, match=r"thing\.yaml"):
        read_solid(written(tmp_path, {**description("box"), "stretch": stretch}))


def test_a_part_says_which_file_it_is_from(tmp_path):
    entry = description("hammer")
    entry["parts"][0] = {"kind": "tube", "path_m": [[0, 0, 0], [0, 0, 0.01]], "radius_m": [0.001, 0.02]}
    with pytest.raises(AssetError, match=r"thing\.yaml: its tube cannot be made: .*radius"):
        read_solid(written(tmp_path, entry))


def test_a_description_that_is_written_again_is_the_same_object(tmp_path):
    path = written(tmp_path, description("mug"))
    mug, again = catalogue()["mug"], read_solid(path)
    np.testing.assert_array_equal(again.mesh().vertices, mug.mesh().vertices)
    assert again.stretch == mug.stretch and again.paints == mug.paints and again.symmetry == mug.symmetry


@pytest.mark.parametrize("name", ["../outside", "a/b", "/tmp/x", "Large", "with blank", ""])
def test_the_name_of_an_imported_object_leads_out_of_no_folder(tmp_path, name):
    trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")
    trimesh.creation.box([0.06, 0.04, 0.1]).export(tmp_path / "box.stl")
    with pytest.raises(InvalidInput, match="lower case letters"):
        import_mesh(tmp_path / "box.stl", units="m", object_id=name)
    assert [path.name for path in tmp_path.iterdir()] == ["box.stl"]


def test_only_imported_objects_are_written(tmp_path):
    with pytest.raises(InvalidInput, match="'mug' was not imported"):
        write_object(catalogue()["mug"], tmp_path / "new")
    assert not (tmp_path / "new").exists()
