import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from prehend.errors import AssetError, UnknownName
from prehend.object_catalogue import (
    Symmetry,
    default_folder,
    find_object,
    load_objects,
    object_ids,
    object_kind,
    own_folders,
    read_object,
)

GOOD = {
    "id": "brick",
    "name": "a brick",
    "extents_m": [0.2, 0.1, 0.05],
    "center_m": [0, 0, 0.025],
    "symmetry": {"half_turns": ["x", "z"], "continuous": None},
}


def write(folder: Path, name: str = "brick.yaml", **changes) -> Path:
    entry = {key: value for key, value in {**GOOD, **changes}.items() if value != "remove"}
    path = folder / name
    path.write_text(yaml.safe_dump(entry), encoding="utf-8")
    return path


def test_the_shipped_catalogue_is_sound() -> None:
    objects = load_objects()
    assert {"box", "mug", "bottle"} <= set(objects)
    assert len(objects) == len(list(default_folder().glob("*.yaml")))
    for key, model in objects.items():
        assert model.object_id == key
        assert model.name
        assert (model.extents_m > 0.005).all()
        assert (model.extents_m < 0.5).all(), "fits a hand"
        low, high = model.control_points_m.min(0), model.control_points_m.max(0)
        np.testing.assert_allclose(high - low, model.extents_m)
        np.testing.assert_allclose((high + low) / 2, model.center_m, atol=1e-12)
        # `control_points.MIRRORED_ORDER` asks for the mirror plane at y = 0
        assert model.center_m[1] == 0


def test_a_file_is_read_with_its_numbers(tmp_path: Path) -> None:
    model = read_object(write(tmp_path, parts=["of no concern here"]))
    assert (model.object_id, model.name) == ("brick", "a brick")
    np.testing.assert_array_equal(model.extents_m, GOOD["extents_m"])
    assert model.symmetry.half_turns == ("x", "z")
    assert model.symmetry.continuous is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extents_m": "remove"}, "lacks extents_m"),
        ({"extents_m": [0.1, 0.1]}, "three numbers"),
        ({"extents_m": [0.1, 0.1, "wide"]}, "three numbers"),
        ({"extents_m": [0.1, 0.1, 0]}, "positive"),
        ({"center_m": [0, 0, float("nan")]}, "three numbers"),
        ({"extents_m": [True, 0.1, 0.1]}, "three numbers"),
        ({"symmetry": None}, "symmetry"),
        ({"symmetry": {"half_turns": ["w"], "continuous": None}}, "symmetry"),
        ({"symmetry": {"half_turns": [], "continuous": "yes"}}, "symmetry"),
    ],
)
def test_faults_are_named_with_their_file(tmp_path: Path, changes, message: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(AssetError, match=message) as caught:
        read_object(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a: [", b"- 1\n- 2", b"\xff\xfe\x00", b""])
def test_files_that_are_no_description_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(AssetError, match=r"odd\.yaml"):
        load_objects(tmp_path)


def test_an_empty_folder_and_a_repeated_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no \.yaml"):
        load_objects(tmp_path)
    with pytest.raises(AssetError, match=r"no \.yaml"):
        load_objects(tmp_path / "missing")
    write(tmp_path, "a.yaml")
    write(tmp_path, "b.yaml")
    with pytest.raises(AssetError, match="taken"):
        load_objects(tmp_path)


def test_unknown_objects_name_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path)
    objects = load_objects(tmp_path)
    assert find_object(objects, "brick").name == "a brick"
    with pytest.raises(UnknownName, match="brick"):
        find_object(objects, "spoon")


@pytest.mark.parametrize("value", [None, "", "  ", [], ["mug"], {}, True, "a,b", "a b", 1.5])
def test_an_id_that_nobody_could_ask_for_is_refused(tmp_path: Path, value) -> None:
    path = write(tmp_path, id=value)
    with pytest.raises(AssetError, match=r"brick\.yaml: id is .*, expected a name"):
        read_object(path)


@pytest.mark.parametrize(("value", "object_id"), [("mug-2", "mug-2"), (7, "7"), ("003_cracker_box", "003_cracker_box")])
def test_an_id_is_a_name_or_a_number(tmp_path: Path, value, object_id: str) -> None:
    assert read_object(write(tmp_path, id=value)).object_id == object_id
    assert object_ids(f" {object_id} ,, {object_id}") == [object_id, object_id] and object_ids(None) == []


@pytest.mark.parametrize(
    "value", [10**400, [10**400] * 3, "0.1 0.1 0.1", [[0.1] * 3], {"x": 1}, None, [1e-9] * 3, [50.0] * 3]
)
@pytest.mark.parametrize("key", ["extents_m", "center_m"])
def test_numbers_that_no_thing_has_are_told_in_one_line(tmp_path: Path, key: str, value) -> None:
    path = write(tmp_path, **{key: value})
    if key == "center_m" and value == [1e-9] * 3:
        np.testing.assert_array_equal(read_object(path).center_m, value)
        return
    with pytest.raises(AssetError) as told:
        read_object(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_turns_that_change_nothing_map_a_box_onto_itself() -> None:
    for model in load_objects().values():
        corners = model.control_points_m[:8] - model.center_m
        for turn in model.symmetry.turns():
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
            moved = corners @ turn.T
            assert all(np.linalg.norm(corners - corner, axis=1).min() < 1e-9 for corner in moved), model.object_id
        axis = model.symmetry.continuous
        if axis is not None:
            across = np.delete(model.extents_m, "xyz".index(axis))
            assert across[0] == pytest.approx(across[1], rel=0.05), "a thing of revolution is as wide as deep"


def test_what_a_network_is_told_scales_with_the_size_alone() -> None:
    plain, larger = (object_kind(np.array([0.1, 0.2, 0.05]) * scale, Symmetry(("x",), "z")) for scale in (1, 2))
    np.testing.assert_allclose(larger[1:4] - plain[1:4], np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(larger[4:], plain[4:])
    assert plain[4:].tolist() == [1, 0, 0, 0, 0, 1] and plain[1] == 0, "an extent of the unit is 0"


def test_own_folders_join_the_shipped_ones_and_wrong_ones_are_named(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path)
    monkeypatch.setenv("PREHEND_OBJECTS", f"{tmp_path}{os.pathsep}")
    assert {"brick", "mug"} <= set(load_objects()) and own_folders() == (tmp_path,)
    monkeypatch.setenv("PREHEND_OBJECTS", str(tmp_path / "gone"))
    with pytest.raises(AssetError, match="gone"):
        load_objects()
    monkeypatch.setenv("PREHEND_OBJECTS", "~no-such-user-anywhere/objects")
    with pytest.raises(AssetError, match="PREHEND_OBJECTS names the home of a user who is none"):
        own_folders()
