"""From films to answers, from answers to windows, from windows to a network that fuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.backends import open_backend
from prehend.backends.torch_ import load_network
from prehend.errors import AssetError
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Box, Camera, FoundHand
from prehend.weights import WEIGHTS, Bundle, file_sha256, load_bundle
from prehend_training.cli.main import main
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.evaluate.films.fused import _delay_ms
from prehend_training.fusion.answers import (
    EXACT,
    FOLLOWED_VIEW,
    STAGES,
    TOLD,
    HandAnswers,
    answers_key,
    answers_of,
    together,
)
from prehend_training.fusion.windows import FusionDataConfig, FusionWindows
from prehend_training.train.export import export_run
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, log_lines, train_run

CONFIG = FusionDataConfig(jitter=0.0, cut_p=0.0)


@pytest.fixture(scope="module")
def backend():
    return open_backend("onnx", load_bundle("unihope-s"), threads=1)


@pytest.fixture(scope="module")
def answers(backend, films) -> HandAnswers:
    return answers_of(backend, films, FOLLOWED_VIEW)


def test_every_usable_hand_of_every_frame_has_an_answer(answers, films) -> None:
    pictures = sum(len(film.rows) for film in ShardGroups(films, "sequences").films())
    assert 0 < len(answers) <= 2 * pictures
    for name in TOLD:
        assert len(answers.arrays[name]) == len(answers) and np.isfinite(answers.arrays[name]).all()
    for rows in answers.hands():
        assert (np.diff(answers.arrays["time_s"][rows]) > 0).all()
        assert len(set(answers.arrays["film"][rows])) == len(set(answers.arrays["side"][rows])) == 1


def test_answers_are_made_once(answers, films) -> None:
    class Asleep:
        bundle = load_bundle("unihope-s")

        def infer(self, stage, inputs):
            raise AssertionError("asked again")

    again = answers_of(Asleep(), films, FOLLOWED_VIEW)
    np.testing.assert_array_equal(again.arrays["code"], answers.arrays["code"])


def changed(folder: Path, stage: str | None = None, **facts: object) -> Bundle:
    """The weights that ship, with further facts in the manifest and one number of a stage another."""
    bundle = load_bundle("unihope-s")
    folder.mkdir()
    for path in (
        bundle.folder / "manifest.json",
        bundle.folder / WEIGHTS,
        *(one.path for one in bundle.stages.values()),
    ):
        shutil.copy(path, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    if stage is not None:
        others = {name for key, one in bundle.stages.items() if key != stage for name in one.initializers}
        numbers = load_file(folder / WEIGHTS)
        name = next(name for name in bundle.stages[stage].initializers if name not in others)
        numbers[name] = numbers[name] + 1
        save_file(numbers, folder / WEIGHTS)
        manifest["weights"]["sha256"] = file_sha256(folder / WEIGHTS)
    manifest["calibration"].update(facts)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return load_bundle(folder)


def test_answers_outlive_a_new_fusion_and_a_calibration_that_they_do_not_ask_for(answers, films, tmp_path) -> None:
    class Asleep:
        bundle = changed(tmp_path / "fused", "fuse_frames", presence={"scale": 2.0, "offset": 1.0}, rotations={})

        def infer(self, stage, inputs):
            raise AssertionError("asked again")

    assert Asleep.bundle.weights_sha256 != load_bundle("unihope-s").weights_sha256
    again = answers_of(Asleep(), films, FOLLOWED_VIEW)
    np.testing.assert_array_equal(again.arrays["code"], answers.arrays["code"])


@pytest.mark.parametrize("stage", STAGES)
def test_other_numbers_of_a_single_frame_have_answers_of_their_own(films, tmp_path, stage: str) -> None:
    shards = ShardGroups(films, "sequences")
    keys = [answers_key(one, shards, EXACT) for one in (load_bundle("unihope-s"), changed(tmp_path / "other", stage))]
    assert len(set(keys)) == 2


def test_another_view_grasp_threshold_or_film_has_answers_of_its_own(films, tmp_path) -> None:
    bundle, shards = load_bundle("unihope-s"), ShardGroups(films, "sequences")
    other = changed(tmp_path / "other", grasp={"scale": 1.0, "offset": 2.0})
    further = ShardGroups(films, "sequences")
    further.folder.description["shards"] = {
        name: note | {"sha256": "0"} for name, note in further.folder.description["shards"].items()
    }
    keys = [answers_key(bundle, shards, view) for view in (EXACT, FOLLOWED_VIEW, replace(FOLLOWED_VIEW, center=0.06))]
    keys += [answers_key(other, shards, EXACT), answers_key(bundle, further, EXACT)]
    assert len(set(keys)) == len(keys)


def test_films_of_two_folders_keep_apart(answers) -> None:
    both = together([answers, answers])
    assert len(both.hands()) == 2 * len(answers.hands())


def test_windows_are_of_one_hand_back_in_time_and_the_same_for_a_seed(answers) -> None:
    windows = FusionWindows(answers, CONFIG, seed=3, batch_size=8)
    arrays = answers.arrays
    for row in range(len(answers)):
        now, *older = windows.before(row, [1 / 6, 2 / 6])
        assert now == row
        for k, other in enumerate(older, start=1):
            if other >= 0:
                assert (arrays["film"][other], arrays["side"][other]) == (arrays["film"][row], arrays["side"][row])
                assert abs(arrays["time_s"][row] - arrays["time_s"][other] - k / 6) <= 1 / 12 + 1e-9
    one, other = windows.batch(5), windows.batch(5)
    assert all(np.array_equal(one[name], other[name]) for name in one)
    halves = [windows.batch(5, (k, 2)) for k in (0, 1)]
    np.testing.assert_array_equal(np.concatenate([half["window_code"] for half in halves]), one["window_code"])


def test_a_frame_that_is_not_there_is_the_current_one_unknown(answers) -> None:
    window = FusionWindows(answers, CONFIG, 0, 1).window([[4, -1, -1]])
    np.testing.assert_array_equal(window["window_known"], [[1, 0, 0]])
    np.testing.assert_array_equal(window["window_rotations"][0, 1], window["window_rotations"][0, 0])
    np.testing.assert_allclose(window["window_turn"], np.eye(3)[None, None].repeat(3, 1), atol=1e-6)


def single_frames() -> dict[str, torch.Tensor]:
    return load_network(load_bundle("unihope-s")).state_dict()


def test_the_debug_preset_takes_seconds_and_is_as_many_frames(films, tmp_path) -> None:
    small = preset("debug-unihope-s-time")
    train_run(Training(small, [films], tmp_path / "debug", Budget(steps=2)), Machine(threads=1))
    assert (tmp_path / "debug" / "checkpoint" / "averaged.safetensors").exists()
    numbers = [
        sum(value.numel() for value in one.build().time.parameters()) for one in (small, preset("unihope-s-time"))
    ]
    assert small.config.frames == preset("unihope-s-time").config.frames and numbers[0] < numbers[1] / 3


@pytest.fixture(scope="module")
def run(films, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "time"
    train_run(Training(preset("unihope-s-time"), [films], folder, Budget(steps=20)), Machine(threads=1))
    return folder


def test_only_the_fusion_learns_and_the_bundle_is_as_good_as_the_old_one(run, films, tmp_path, capsys) -> None:
    (line,) = log_lines(run)
    assert {"joints", "global_rotation", "finger_rotation"} < line.keys() and np.isfinite(line["loss"])
    state = load_file(run / "checkpoint" / "averaged.safetensors")
    frames = {name: value for name, value in single_frames().items() if not name.startswith("time.")}
    for name, value in frames.items():
        assert torch.equal(state[f"network.{name}"], value), name
    assert main(["evaluate", str(run), "--data", str(films)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fused"]["joint_error_mm"] != told["single"]["joint_error_mm"]
    bundle = export_run(run, tmp_path / "unihope-s-time")
    shipped, added = load_bundle("unihope-s").manifest, bundle.manifest["through_time"]
    same = ("preset", "trained_on", "started_from", "samples_seen", "measured", "calibration", "licence")
    assert {key: bundle.manifest[key] for key in same} == {key: shipped[key] for key in same}
    assert (added["preset"], added["samples_seen"]) == ("unihope-s-time", 20 * 256)
    assert added["measured"]["fused"] == told["fused"] and [one["path"] for one in added["trained_on"]] == [films.name]
    options = EstimatorOptions(min_score=0.01, keep_score=0.01, max_fit_error=50.0)
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 200, (120, 160, 3), np.uint8)  # frames of which nothing is alike are not believed together
    pictures = [scene + rng.integers(0, 50, scene.shape, np.uint8) for _ in range(8)]
    camera = Camera(np.array([[150.0, 0, 80], [0, 150.0, 60], [0, 0, 1]]), 160, 120)

    def joints(weights: str, frames: int) -> list[bytes]:
        backend = open_backend("onnx", load_bundle(weights), threads=1)
        said = []
        with Estimator(backend, config=EstimatorOptions(**{**options.__dict__, "temporal_frames": frames})) as hands:
            for k, picture in enumerate(pictures):
                found = hands.estimate(picture, camera, k / 30, [FoundHand(Box(40, 20, 120, 100), "right")])
                said.append(b"".join(hand.joints_m.tobytes() for hand in found.hands))
        return said

    old, off, fused = (
        joints(name, frames) for name, frames in (("unihope-s", 1), (bundle.folder, 1), (bundle.folder, 3))
    )
    assert any(old), "a hand came out"
    assert off == old, "switched off it costs nothing and changes nothing"
    assert fused[6:] != old[6:]


def test_a_run_starts_from_the_fusion_of_another_and_keeps_its_own_frames(run, films, tmp_path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    path = other / "checkpoint" / "averaged.safetensors"
    taught = load_file(path)
    save_file({name: value + 1 if value.is_floating_point() else value for name, value in taught.items()}, path)
    network = preset("unihope-s-time").task([films]).network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_start([other], network)
    for name, value in network.state_dict().items():
        learnt = name.startswith("network.time.")
        assert torch.equal(value, taught[name] + 1 if learnt else before[name]), name
    (other / "measured.json").write_text("{}")
    with pytest.raises(AssetError, match="other weights than 'unihope-s'"):
        export_run(other, tmp_path / "bundle")


def test_crops_are_refused(crops) -> None:
    with pytest.raises(AssetError, match="sequences"):
        preset("unihope-s-time").task([crops])


def test_exact_views_are_kept_apart_from_drawn_ones(backend, answers, films) -> None:
    exact = answers_of(backend, films, EXACT)
    assert len(exact) == len(answers)
    assert not np.array_equal(exact.arrays["code"], answers.arrays["code"])


def test_filters_are_measured_on_what_the_network_says(backend, films, capsys, tmp_path) -> None:
    assert main(["steady", "unihope-s", "--data", str(films), "--plot", str(tmp_path / "steady.png")]) == 0
    assert cv2.imread(str(tmp_path / "steady.png")).std() > 10
    told = json.loads(capsys.readouterr().out)
    names = ["measured", "one_euro", "kalman_0_s", "kalman_0.1_s", "kalman_0.2_s"]
    fused = [f"fused_{name}" for name in names]
    assert list(told) == ["hands", *names, *fused]
    for group in (names, fused):
        trembling = [told[name]["acceleration_error_mm_s2"] for name in group]
        assert trembling[0] > trembling[1] > trembling[2] > trembling[3], "later frames make it steadier"
    assert {told[name]["delay_ms"] for name in (*names, *fused)} == {None}, "fingers of these films hold still"


@pytest.mark.parametrize("delay_s", [0.0, 0.01, -0.005])
def test_a_way_that_is_gone_later_is_late_by_as_much(delay_s: float) -> None:
    times = np.arange(120) / 60

    def way(seconds: np.ndarray) -> np.ndarray:
        phase = np.arange(63).reshape(21, 3)
        return 0.05 * np.sin(2 * seconds[:, None, None] + phase)

    arrays = {"R_camera_crop": np.tile(np.eye(3), (120, 1, 1)), "true_joints": way(times), "time_s": times}
    answers = SimpleNamespace(arrays=arrays, hands=lambda: [np.arange(120)])
    assert _delay_ms(answers, way(times - delay_s) - way(times)) == pytest.approx(1e3 * delay_s, abs=0.2)
    arrays["true_joints"] = np.zeros((120, 21, 3))
    assert _delay_ms(answers, way(times)) is None
