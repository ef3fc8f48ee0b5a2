from pathlib import Path

import numpy as np
import pytest
import yaml

from prehend.errors import AssetError, UnknownName
from prehend.object_catalogue import default_folder, find_object, load_objects, read_object

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
