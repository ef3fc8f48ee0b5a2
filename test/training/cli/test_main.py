import json

import cv2
import numpy as np
import pytest
import yaml
from fake import fake_sample, write_fake

from prehend.errors import MissingDependency, SourceError
from prehend_training.cli import main as cli
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.stores.online import OnlineDataset
from prehend_training.engine.scenes import SceneConfig
from prehend_training.inspect.samples import OVERLAYS, PANELS
from prehend_training.scenes.render.render import SceneRenderer, crop_sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardFolder


def sheet(tmp_path, *arguments):
    out = tmp_path / "sheet.png"
    assert cli.main(["show", *map(str, arguments), "--out", str(out)]) == 0
    return cv2.imread(str(out))


def test_show_draws_a_sheet_of_samples(crops, frames, tmp_path):
    for data, size, columns in ((crops, 160, 3), (frames, 192, 2)):
        drawn = sheet(tmp_path, data, "--count", 5, "--columns", columns)
        assert drawn.shape == (2 * size * -(-5 // columns), 2 * size * columns, 3)
    plain = sheet(tmp_path, crops, "--count", 1, "--labels", "none", "--scale", 1)
    assert np.array_equal(plain[..., ::-1], fake_sample(3, 0).image)


def test_show_draws_what_the_network_gets(crops, frames, tmp_path):
    for data, name, columns in ((crops, "unihope-s", 3), (frames, "detector", 2)):
        drawn = sheet(tmp_path, data, "--count", 5, "--columns", columns, "--preset", name)
        assert drawn.shape[1] // columns == drawn.shape[0] // -(-5 // columns)
    assert not np.array_equal(
        sheet(tmp_path, crops, "--preset", "unihope-s"), sheet(tmp_path, crops, "--preset", "unihope-s", "--plain")
    )


def test_every_label_draws_something(crops, tmp_path):
    plain = sheet(tmp_path, crops, "--count", 6, "--labels", "none")
    for label in OVERLAYS:
        drawn = sheet(tmp_path, crops, "--count", 6, "--labels", label)
        assert drawn.shape == plain.shape and (drawn != plain).any(), label
    panels = sheet(tmp_path, crops, "--count", 1, "--labels", ",".join(PANELS))
    width = (panels.shape[1] - 3 * len(PANELS)) // (len(PANELS) + 1)
    assert all(panels[40:, k * (width + 3) : k * (width + 3) + width].std() > 5 for k in range(len(PANELS) + 1))


def test_rows_hold_a_sequence_or_an_instant(tmp_path):
    for kind, frames_ in (("sequences", 3), ("views", 2)):
        write_fake(tmp_path / kind, kind, 2, size_px=64, shard_units=2)
        drawn = sheet(tmp_path, tmp_path / kind, "--labels", "none", "--scale", 1, "--view-groups")
        assert drawn.shape == (2 * 64, frames_ * 64, 3)
        last = fake_sample(3, 2 * frames_ - 1, "frames", 64).image
        assert np.array_equal(drawn[64:, -64:, ::-1], last)


def test_train_evaluate_export_end_to_end(crops, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "tiny"
    assert cli.main(["train", "debug-unihope", str(run), "--data", str(crops), "--steps", "2", "--threads", "1"]) == 0
    assert cli.main(["export", str(run), "--out", str(out)]) == 1
    assert "evaluate" in capsys.readouterr().err
    assert cli.main(["evaluate", str(run), "--data", str(crops), "--limit", "8"]) == 0
    report = json.loads((run / "measured.json").read_text())
    assert "Hand pose by scene" in capsys.readouterr().out and report["joint_error_mm"] > 0
    assert cli.main(["export", str(run), "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["measured"] == report and manifest["samples_seen"] == 4


def test_a_failure_is_one_line_and_exit_code_1(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path), "--out", "x.png"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as wrong_use:
        cli.main(["train", "unihope-s", str(tmp_path), "--data", str(tmp_path)])
    assert wrong_use.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("scenes --kind crops --count 5", "--out is missing"),
        ("scenes --kind crops --count 0 --out {0}/a", "must be positive"),
        ("scenes --kind crops --count 5 --out {0}/a --photos {0}/none", "no folder of photographs"),
        ("scenes --kind crops --count 5 --out {0}/a --address auto", "--engine ray"),
        ("train unihope-s {0}/run --steps 1", "what shall it learn from"),
        ("train unihope-s {0}/run --steps 1 --online --data {0}", "index.json"),
        ("train unihope-s {0}/run --steps 1 --data {0} --mano {0}", "--mano goes with --dataset"),
        ("train unihope-s {0}/run --steps 1 --dataset dexicb", "unknown dataset 'dexicb'"),
        ("train unihope-s {0}/run --steps 1 --data {0} --photos {0}", "--photos goes with --online"),
        ("show {1} --out {0}/x.txt", "cannot be written"),
        ("show {1} --out {0}/x.png --labels bones", "unknown label 'bones'"),
        ("show {1} --out {0}/x.png --first 24", "none from number 24"),
        ("show {1} --out {0}/x.png --plain", "--preset"),
        ("stats {0} --out {0}/plots", "index.json"),
        ("grasps --object spoonlike --out {0}/g", "unknown object 'spoonlike'"),
    ],
)
def test_wrong_use_is_explained_in_one_line(arguments, message, crops, tmp_path, capsys):
    assert cli.main(arguments.format(tmp_path, crops).split()) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_old_names_still_work_and_say_what_they_are_called_now(frames, tmp_path, capsys, caplog):
    drawn = sheet(tmp_path, frames, "--count", 2, "--preset", "finder")
    assert "preset finder is called detector now" in caplog.text
    assert np.array_equal(drawn, sheet(tmp_path, frames, "--count", 2, "--preset", "detector"))
    assert cli.main(["places", str(tmp_path / "x"), "--data", str(frames), "--finder", "nothing"]) == 1
    assert "places is called hard-negatives now" in caplog.text and "--finder is called --detector now" in caplog.text
    assert "nothing" in capsys.readouterr().err
    caplog.clear()
    scenes = ["scenes", "--kind", "crops", "--count", "0", "--out", str(tmp_path / "y")]
    assert cli.main([*scenes, "--stock", "training"]) == 1 and "--asset-split" in caplog.text
    caplog.clear()
    assert cli.main([*scenes, "--asset-split", "training"]) == 1 and not caplog.text


def test_a_run_of_an_old_name_goes_on(frames, tmp_path):
    run = tmp_path / "run"
    train = ["train", "debug-detector", str(run), "--data", str(frames), "--threads", "1"]
    assert cli.main([*train, "--steps", "1"]) == 0
    note = json.loads((run / "run.json").read_text())
    note["preset"] = note["numbers"]["name"] = "debug-finder"
    (run / "run.json").write_text(json.dumps(note))
    assert cli.main([*train, "--steps", "2"]) == 0
    assert cli.main(["evaluate", str(run), "--data", str(frames), "--limit", "2"]) == 0


def test_ctrl_c_is_one_line(monkeypatch, crops, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("prehend_training.inspect.batches.folder_sheet", interrupted)
    assert cli.main(["show", str(crops), "--out", "x.png"]) == 130
    assert "stopped" in capsys.readouterr().err


def test_the_catalogue_can_be_listed(capsys):
    assert cli.main(["objects", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("bottle") and "mm" in line for line in lines)


def test_a_mesh_becomes_an_object(tmp_path, capsys):
    trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")
    trimesh.creation.box((60, 40, 100)).export(tmp_path / "brick.stl")
    out = tmp_path / "objects"
    given = ["objects", "import", str(tmp_path / "brick.stl"), "--out", str(out), "--name", "a brick"]
    assert cli.main([*given, "--id", "brick", "--unit", "mm", "--symmetric"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "brick.yaml")
    assert cli.main(["objects", "list", "--folder", str(out)]) == 0
    assert capsys.readouterr().out.split() == ["brick", "60", "x", "40", "x", "100", "mm", "a", "brick"]
    entry = yaml.safe_load((out / "brick.yaml").read_text())
    assert set(entry["symmetry"]["half_turns"]) == {"x", "y", "z"}
    assert cli.main([*given, "--id", "brick", "--units", "m"]) == 1  # as it was called
    assert "brick.stl" in capsys.readouterr().err


def test_a_wrong_verb_is_one_line_with_the_nearest(capsys):
    for given, words in ((["trian"], "did you mean train?"), (["xyzzy"], "see prehend-train --help"), ([], "verb")):
        with pytest.raises(SystemExit) as stop:
            cli.main(given)
        said = capsys.readouterr().err
        assert stop.value.code == 2 and words in said and said.count("\n") == 1
    with pytest.raises(SystemExit):
        cli.main(["train", "unihope-s"])
    assert capsys.readouterr().err.count("\n") == 1  # of a verb's arguments too


def test_an_old_verb_is_not_shown_and_says_its_new_name(capsys, caplog, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert "hard-negatives" in shown and "places" not in shown
    assert cli.main(["places", str(tmp_path / "out"), "--data", str(tmp_path / "none")]) == 1
    assert "hard-negatives" in caplog.text and "hard-negatives" in capsys.readouterr().err


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Crops of the true renderer through the command."""
    try:
        _ = SceneRenderer().rasterizer
    except (MissingDependency, SourceError) as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("rendered")
    arguments = ["--kind", "crops", "--count", "6", "--seed", "11", "--size", "128", "--maps", "all", "--format", "png"]
    assert cli.main(["scenes", *arguments, "--shard-size", "4", "--out", str(out)]) == 0
    return out


def assert_close(a, b):
    """This process may use more threads than the one that rendered, and round the last bit otherwise."""
    assert a.dtype == b.dtype and a.shape == b.shape
    assert np.abs(a.astype(float) - b).mean() < (1e-4 if a.dtype.kind == "f" else 0.2)


def test_rendered_scenes_come_back_from_shards(rendered):
    folder = ShardFolder.open(rendered, verify=True)
    renderer = SceneRenderer()
    assert len(folder) == 6
    for index in (0, 5):
        fresh, stored = crop_sample(renderer, 11, index, 128, maps=True), folder[index]
        assert_close(fresh.image, stored.image)
        assert_close(fresh.maps.deoccluded, stored.maps.deoccluded)
        assert_close(fresh.maps.hand_amodal, stored.maps.hand_amodal)
        assert_close(fresh.hands[0].vertices_m.astype(np.float32), stored.hands[0].vertices_m)


def test_training_online_sees_what_shards_hold(rendered, tmp_path, monkeypatch):
    packing = Packing("all", "png")
    online = OnlineDataset(SceneConfig("crops", 11, 128, packing), backdrops=6)
    shards = ShardDataset([rendered], "crops")
    for name, value in shards[5].items():
        assert_close(value, online[5][name])
    monkeypatch.setattr("prehend_training.train.tasks.crops.MEAN_POSE_SAMPLES", 6)
    run = tmp_path / "run"
    assert cli.main(["train", "debug-unihope", str(run), "--online", "--seed", "11", "--steps", "1"]) == 0
    assert json.loads((run / "checkpoint/progress.json").read_text())["samples"] == 2
    assert json.loads((run / "run.json").read_text())["data"][0]["online"]["seed"] == 11


def test_the_parts_of_a_sample_can_be_timed(rendered, capsys):
    assert cli.main(["scenes", "--kind", "crops", "--time", "--count", "2", "--size", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    times = {line.rsplit(maxsplit=2)[0]: float(line.split()[-2]) for line in lines if line.endswith(" ms")}
    assert times["whole"] > 0 and sum(times.values()) == pytest.approx(2 * times["whole"], rel=0.25)
