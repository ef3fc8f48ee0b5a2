"""From conditions to pictures, and which of them are kept."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from prehend.errors import AssetError, DeviceError, InvalidInput
from prehend_training.boost.filter import FilterConfig, MeshErrors, errors_of, filter_pictures, limits_of
from prehend_training.boost.folders import FolderPlan, Made, fill, read_units
from prehend_training.boost.generator.conditions import draw_condition
from prehend_training.boost.generator.data import open_crops
from prehend_training.boost.generator.network import Booster
from prehend_training.boost.generator.preset import BOOSTERS
from prehend_training.boost.sampling import Painter, SampleConfig, sample_pictures
from prehend_training.cli.main import main
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.engine import EngineOptions
from prehend_training.sample import OTHER_CODE
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run

TINY = BOOSTERS["debug-handbooster"]


@pytest.fixture(scope="module")
def run(conditions, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert (
        main(
            [
                "boost",
                "train",
                "debug-handbooster",
                str(out),
                "--data",
                str(conditions),
                "--steps",
                "3",
                "--threads",
                "1",
            ]
        )
        == 0
    )
    return out


@pytest.fixture(scope="module")
def made(run, conditions, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "made"
    given = ["--conditions", str(conditions), "--out", str(out), "--steps", "4", "--variants", "2", "--sheet", "3"]
    assert main(["boost", "sample", str(run), *given]) == 0
    return out


def test_made_pictures_carry_the_labels_of_their_conditions(made, conditions):
    folder, given = ShardFolder.open(made, verify=True), open_crops(conditions)
    assert len(folder) == 12 and (made / "sheet.png").exists()
    for row, sample in enumerate(folder):
        own = given.sample(row // 2)
        assert sample.image.shape == (32, 32, 3) and sample.frame_id == own.frame_id
        assert np.allclose(sample.hands[0].vertices_m, own.hands[0].vertices_m)
        assert np.allclose(sample.hands[0].keypoints_px, own.hands[0].keypoints_px / 4 - 0.375, atol=1e-3)
        assert (sample.segmentation == OTHER_CODE).any() and sample.objects[0].object_id == own.objects[0].object_id
    assert not np.array_equal(folder.sample(0).image, folder.sample(1).image)  # two variants
    described = json.loads((made / "config.json").read_text())
    assert described["made_by"] == "boost sample" and len(described["run"]) == 64 and described["guidance"] == 3.0


def test_a_picture_does_not_depend_on_the_batch_nor_on_a_stop(made, run, conditions, tmp_path):
    config = SampleConfig(run, conditions, steps=4, variants=2, batch=3, limit=2)
    sample_pictures(tmp_path / "made", config)
    sample_pictures(tmp_path / "made", replace(config, limit=None))
    for row in range(12):
        ours, theirs = (ShardFolder.open(path).sample(row).image.astype(int) for path in (made, tmp_path / "made"))
        assert np.abs(ours - theirs).max() <= 1
    with pytest.raises(InvalidInput, match="guidance is"):
        sample_pictures(tmp_path / "made", replace(config, guidance=1.0))


def test_processes_make_the_same_pictures(made, run, conditions, tmp_path):
    config = SampleConfig(run, conditions, steps=4, variants=2, limit=1)
    sample_pictures(tmp_path / "made", config, EngineOptions(workers=1))
    assert (
        np.abs(
            ShardFolder.open(tmp_path / "made").sample(0).image.astype(int) - ShardFolder.open(made).sample(0).image
        ).max()
        <= 1
    )


class Narrow(Booster):
    """A network that has memory for so many pictures."""

    most = 2

    def forward(self, noisy, *rest):
        if len(noisy) > 2 * self.most:  # guidance asks twice
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(noisy, *rest)


def test_short_memory_makes_batches_smaller_and_none_is_told(conditions, tmp_path):
    torch.manual_seed(0)
    network = Narrow(TINY.config).eval()
    drawn = [draw_condition(sample, 32) for sample in open_crops(conditions)][:5]
    names, config = [str(k) for k in range(5)], SampleConfig(tmp_path, conditions, steps=2, eta=0.5, batch=8)
    painter = Painter(network, config)
    pictures = painter.paint(drawn, names)
    network.most = 100
    whole = Painter(network, config).paint(drawn, names)
    assert (
        len(pictures) == 5 and max(np.abs(a.astype(int) - b).max() for a, b in zip(pictures, whole, strict=True)) <= 1
    )
    network.most = 0
    with pytest.raises(DeviceError, match="no memory for one image"):
        Painter(network, config).paint(drawn, names)


def test_a_left_hand_is_painted_as_a_right_one_and_turned_back(conditions, tmp_path):
    torch.manual_seed(0)
    painter = Painter(Booster(TINY.config).eval(), SampleConfig(tmp_path, conditions, steps=2))
    condition = draw_condition(open_crops(conditions).sample(0, "none"), 32)
    right, left = (painter.paint([condition._replace(mirrored=mirrored)], ["same"])[0] for mirrored in (False, True))
    assert np.array_equal(right, left[:, ::-1])


class Knows:
    """A judge that sees the truth, moved by `turn`."""

    def __init__(self, turn):
        self.turn = turn

    def answers(self, pictures, camera, hand):
        joints, vertices = (
            np.asarray(part, np.float64) @ self.turn.T + 0.3 for part in (hand.joints_m, hand.vertices_m)
        )
        return joints[None], vertices[None]


def test_errors_are_those_of_the_papers(crops):
    sample = ShardFolder.open(crops).sample(0)
    perfect = errors_of(Knows(np.eye(3)), sample)
    assert max(perfect) < 0.01
    turned = errors_of(Knows(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])), sample)
    assert turned.j_pe > 25 and turned.v_pe > 25 and max(turned.pa_j_pe, turned.pa_v_pe) < 0.01
    assert min(errors_of(Knows(np.diag([-1.0, 1, 1])), sample)[2:]) > 3  # aligned without a reflection


def test_a_quantile_keeps_the_share_that_is_asked(tmp_path):
    rng = np.random.default_rng(0)
    errors = [MeshErrors(*row) for row in rng.uniform(0, 100, (40, 4))]
    for share in (0.1, 0.5, 1.0):
        error, aligned = limits_of(FilterConfig(tmp_path, quantile=share), errors)
        kept = [one.worst[0] <= error and one.worst[1] <= aligned for one in errors]
        assert sum(kept) == pytest.approx(40 * share, abs=1) and sum(kept) >= 40 * share
    assert limits_of(FilterConfig(tmp_path), errors) == (25.0, 10.0)


def swapped(conditions):
    folder = open_crops(conditions)

    def make(units):
        for unit in units:
            sample = folder.sample(unit, "none")
            yield Made(
                unit, (replace(sample, image=np.ascontiguousarray(folder.sample((unit + 1) % 6).image[::-1])),), {}
            )

    return lambda: make


def test_true_pictures_are_kept_and_wrong_ones_dropped(conditions, tmp_path):
    """Renderings are true pictures of their conditions; those of another condition, upside down, are not."""
    fill(FolderPlan(tmp_path / "wrong", {"hand": ""}, 6, packing=Packing("none", "png")), swapped(conditions))
    wide = {"error_mm": 45.0, "aligned_mm": 20.0}
    true = filter_pictures(tmp_path / "true-kept", FilterConfig(conditions, **wide))
    wrong = filter_pictures(tmp_path / "wrong-kept", FilterConfig(tmp_path / "wrong", **wide))
    assert true["all"]["rate"] >= 0.5 and wrong["all"]["rate"] <= 0.2
    assert wrong["errors_mm"]["j_pe"]["p50"] > 2 * true["errors_mm"]["j_pe"]["p50"]
    assert sum(rate["made"] for rate in true["by_object"].values()) == 6 == len(true["by_condition"])
    again = filter_pictures(tmp_path / "true-kept", FilterConfig(conditions, **wide))
    assert again == true == json.loads((tmp_path / "true-kept" / "rates.json").read_text())
    kept = ShardFolder.open(tmp_path / "true-kept", verify=True)
    assert len(kept) == true["all"]["kept"] == sum(unit["samples"] for unit in read_units(tmp_path / "true-kept"))


def test_what_is_kept_is_trained_on(made, tmp_path, capsys):
    assert main(["boost", "filter", str(made), "--out", str(tmp_path / "kept"), "--quantile", "1", "--sheet", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["all"] == {"made": 12, "kept": 12, "rate": 1.0}
    assert (tmp_path / "kept" / "judged.png").exists()
    record = ShardDataset([tmp_path / "kept"], "crops")[0]
    assert record["has_pose"][0] and record["has_object"][0] and record["has_segments"] and record["grasp"][0]
    training = Training(preset("debug-unihope"), [tmp_path / "kept"], tmp_path / "run", Budget(steps=1))
    train_run(training, Machine(threads=1))
    assert training.done


def test_bad_input_is_one_line(made, run, conditions, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    for path in conditions.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    told = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**told, "hand": "another"}))
    sample = ["sample", str(run), "--out", str(tmp_path / "a"), "--conditions"]
    for arguments, word in (
        ([*sample, str(other)], "another hand model"),
        ([*sample, str(tmp_path / "none")], "holds no index.json"),
        ([*sample, str(conditions), "--steps", "0"], "steps is 0"),
        (["sample", str(tmp_path), "--out", str(tmp_path / "a"), "--conditions", str(conditions)], "train"),
        (["filter", str(tmp_path), "--out", str(tmp_path / "b")], "boost sample"),
        (["filter", str(made), "--out", str(tmp_path / "b"), "--judge", "nobody"], "nobody"),
        (["filter", str(made), "--out", str(tmp_path / "b"), "--quantile", "2"], "quantile"),
        (["train", "nothing", str(tmp_path / "c"), "--data", str(conditions), "--steps", "1"], "handbooster-s"),
        (["train", "debug-handbooster", str(tmp_path / "c"), "--data", str(tmp_path), "--steps", "1"], "index.json"),
    ):
        assert main(["boost", *arguments]) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert word in line and "Traceback" not in line


def test_without_diffusers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ImportError, match="boost"):
        TINY.build()


def test_a_folder_that_tells_nothing_of_its_units_is_none_of_ours(crops):
    with pytest.raises(AssetError, match="prehend-train boost"):
        read_units(crops)
