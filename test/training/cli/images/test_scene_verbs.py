"""`prehend-train scenes`, `show`, `objects`: options have the effect that they name, or are refused."""

import json

import cv2
import numpy as np
import pytest
from fake import fake_sample

from prehend.errors import MissingDependency, SourceError
from prehend_training.cli.main import main
from prehend_training.objects import catalogue
from prehend_training.scenes.render.render import SceneRenderer
from prehend_training.storage.shards import ShardFolder


def fails(command, capsys):
    assert main([str(word) for word in command]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Two frames of the true renderer, small, without maps, as webp."""
    try:
        _ = SceneRenderer().rasterizer
    except (MissingDependency, SourceError) as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("rendered") / "frames"
    assert main([*command(out), "--count", "2"]) == 0
    return out


def command(out, **changes):
    options = {"kind": "frames", "seed": 9, "size": 48, "maps": "none", "format": "webp", "quality": 80, "out": out}
    options |= {"workers": 0, "shard-size": 2, **changes}
    return ["scenes", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


def test_the_folder_says_what_was_asked_for(rendered):
    told = json.loads((rendered / "config.json").read_text())
    wanted = {"kind": "frames", "seed": 9, "size_px": 48, "maps": "none", "image": "webp", "quality": 80}
    assert wanted.items() <= told.items() and told["photos"] is None and "stock" not in told
    folder = ShardFolder.open(rendered, verify=True)
    assert len(folder) == 2 and all(sample.image.shape[1] == 48 and sample.maps is None for sample in folder)


def test_more_of_the_same_are_added_and_the_first_stay(rendered):
    first = (rendered / "shard-00000.tar").stat().st_mtime_ns
    before = [sample.image for sample in ShardFolder.open(rendered)]
    assert main([*command(rendered), "--count", "3"]) == 0
    folder = ShardFolder.open(rendered, verify=True)
    assert len(folder) == 3 and (rendered / "shard-00000.tar").stat().st_mtime_ns == first
    assert all(np.array_equal(one, sample.image) for one, sample in zip(before, folder, strict=False))


@pytest.mark.parametrize(
    ("changes", "named"), [({"seed": 8}, "seed"), ({"size": 64}, "size_px"), ({"quality": 90}, "quality")]
)
def test_other_scenes_in_the_same_folder_are_refused(changes, named, rendered, capsys):
    before = (rendered / "index.json").read_bytes()
    assert named in fails([*command(rendered, **changes), "--count", "2"], capsys)
    assert (rendered / "index.json").read_bytes() == before


@pytest.mark.parametrize("more", ["--kind frames --time", "--kind views --time", "--kind crops --time --count -4"])
def test_times_of_what_is_not_timed_are_refused(more, capsys):
    assert "--kind crops" in fails(["scenes", *more.split()], capsys)


@pytest.mark.parametrize(
    "more", [("--first", 2), ("--scale", 3), ("--labels", "mesh"), ("--labels", "none"), ("--view-groups",)]
)
def test_options_of_shards_without_effect_on_batches_are_refused(more, crops, tmp_path, capsys):
    given = ["show", crops, "--out", tmp_path / "x.png", "--preset", "debug-unihope", *more]
    assert "--preset" in fails(given, capsys) and not (tmp_path / "x.png").exists()


def test_a_batch_is_as_many_samples_in_as_many_columns_as_were_asked_for(crops, tmp_path):
    out = tmp_path / "x.png"
    assert (
        main(["show", str(crops), "--out", str(out), "--preset", "debug-unihope", "--count", "5", "--columns", "2"])
        == 0
    )
    height, width = cv2.imread(str(out)).shape[:2]
    assert width % 2 == 0 and height == 3 * width // 2


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_is_that_of_its_sample_in_either_format(suffix, crops, tmp_path):
    out = tmp_path / f"x.{suffix}"
    assert (
        main(
            ["show", str(crops), "--out", str(out), "--first", "7", "--count", "1", "--labels", "none", "--scale", "1"]
        )
        == 0
    )
    drawn, image = cv2.imread(str(out))[..., ::-1].astype(int), fake_sample(3, 7).image
    assert drawn.shape == image.shape and np.abs(drawn - image).mean() < (1 if suffix == "png" else 12)
    assert np.abs(drawn - image[:, ::-1]).mean() > 12 and np.abs(drawn - image[::-1]).mean() > 12


def test_objects_are_listed_with_their_size_in_millimetres(capsys):
    assert main(["objects", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    solids = catalogue()
    assert list(lines) == [solid.object_id for solid in solids.values()]
    for solid in solids.values():
        line = lines[solid.object_id]
        sizes = [float(word) for word in line.split(" mm ")[0].replace(" x ", " ").split()[1:]]
        assert np.abs(np.array(sizes) - 1000 * solid.extents_m).max() <= 0.5 and line.endswith(solid.name)


@pytest.mark.parametrize("content", ["", "id: [", "- 1", "id: brick"])
def test_a_damaged_description_is_named(content, tmp_path, capsys):
    (tmp_path / "brick.yaml").write_text(content)
    assert "brick.yaml" in fails(["objects", "list", "--folder", tmp_path], capsys)


@pytest.mark.parametrize("name", ["Brick", "my brick", "../brick", ""])
def test_an_object_has_a_name_that_a_file_can_have(name, tmp_path, capsys):
    trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")
    trimesh.creation.box((0.06, 0.04, 0.1)).export(tmp_path / "a.stl")
    out = tmp_path / "out"
    assert fails(["objects", "import", tmp_path / "a.stl", f"--id={name}", "--unit", "m", "--out", out], capsys)
    assert not out.exists() or not list(out.iterdir())


def test_grasps_of_nothing_that_is_there_leave_no_folder(tmp_path, capsys):
    error = fails(["grasps", "--object", "mug", "--object", "mugg", "--count", 1, "--out", tmp_path / "x"], capsys)
    assert "mugg" in error and "mug" in error and not (tmp_path / "x").exists()
