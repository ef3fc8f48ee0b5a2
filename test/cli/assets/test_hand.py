"""`prehend hand`, on weights that nobody trained."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.cli.assets.hand_files import look_at, obj_text
from prehend.cli.main import main
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model

sys.path[:0] = [str(Path(__file__).parents[3] / "training"), str(Path(__file__).parents[2] / "prior")]

from prior_work import CAMERA, network, posed, seen  # noqa: E402

HAND = posed()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    model = load_hand_model()
    notes = {"hand_model": {"name": model.name, "sha256": model.sha256}, "licence": "none"}
    return save_bundle(network(), tmp_path_factory.mktemp("prior") / "tiny", "hhmr-xs", notes).folder


def hand(action, weights, out, *arguments):
    return main(["hand", action, "--model", str(weights), "--steps", "2", "--out", str(out), *map(str, arguments)])


def joints_file(folder, **content):
    path = folder / "joints.json"
    path.write_text(json.dumps(content))
    return path


def test_generate_writes_meshes_numbers_and_pictures(weights, tmp_path, capsys):
    assert hand("generate", weights, tmp_path / "a", "-n", 3, "--side", "left") == 0
    assert "3 left hands" in capsys.readouterr().out
    told = json.loads((tmp_path / "a" / "hands.json").read_text())
    assert told["schema"] == "prehend.hypotheses/1" and told["side"] == "left" and told["frame"] == "hand"
    assert len(told["hands"]) == 3 and np.shape(told["joints_std_m"]) == (21, 3)
    for row in told["hands"]:
        lines = (tmp_path / "a" / row["mesh"]).read_text().splitlines()
        assert sum(line.startswith("v ") for line in lines) == 1596
    sheet = cv2.imread(str(tmp_path / "a" / "sheet.png"))
    assert sheet.shape == (240, 720, 3) and sheet.std() > 10
    film = cv2.VideoCapture(str(tmp_path / "a" / "turntable.mp4"))
    assert film.read()[0] and film.get(cv2.CAP_PROP_FRAME_COUNT) > 20
    film.release()
    assert hand("generate", weights, tmp_path / "b", "-n", 3, "--side", "left") == 0
    assert (tmp_path / "b" / "hands.json").read_text() == (tmp_path / "a" / "hands.json").read_text()


def test_hands_of_an_earlier_command_do_not_stay_beside_those_of_this_one(weights, tmp_path):
    """Stopped half way, the list would speak of hands that are not these."""
    assert hand("generate", weights, tmp_path, "-n", 3) == 0
    (tmp_path / "notes.obj").touch()
    assert hand("generate", weights, tmp_path, "-n", 1) == 0
    assert sorted(path.name for path in tmp_path.glob("*.obj")) == ["hand-000.obj", "notes.obj"]
    assert len(json.loads((tmp_path / "hands.json").read_text())["hands"]) == 1


def test_complete_keeps_what_is_given_and_fills_in_what_was_cut_away(weights, tmp_path):
    mesh = tmp_path / "hand.obj"
    mesh.write_text(obj_text(HAND.vertices, load_hand_model().faces))
    assert hand("complete", weights, tmp_path / "out", "-n", 2, "--mesh", mesh, "--cut", "index,thumb") == 0
    told = json.loads((tmp_path / "out" / "hands.json").read_text())
    joints = np.array([row["joints_m"] for row in told["hands"]])
    off = np.linalg.norm(joints - HAND.joints, axis=2)
    assert told["frame"] == "given" and told["hands"][0]["error_m"] < 0.004
    assert off[:, [0, 9, 13, 17, 11, 15]].mean() < 0.008 and off[:, [4, 8]].mean() > 0.01


def test_fit_takes_joints_in_space_and_in_the_picture(weights, tmp_path, capsys):
    space = [None if k in (7, 8) else joint for k, joint in enumerate(HAND.joints.tolist())]
    assert hand("fit", weights, tmp_path / "a", "-n", 1, "--joints", joints_file(tmp_path, joints_m=space)) == 0
    camera = {"K": CAMERA.K.tolist(), "width": 640, "height": 480}
    flat = joints_file(tmp_path, keypoints_px=seen(HAND.joints).tolist(), camera=camera, side="right")
    assert hand("fit", weights, tmp_path / "b", "-n", 2, "--joints", flat) == 0
    told = json.loads((tmp_path / "b" / "hands.json").read_text())
    assert told["hands"][0]["error_px"] < 3 and told["hands"][0]["error_px"] <= told["hands"][1]["error_px"]
    assert "px off what is known" in capsys.readouterr().out


def test_fit_takes_a_mesh_of_another_model(weights, tmp_path):
    """Here the same model from a file, as a user's MANO would be."""
    from prehend.hand_model.asset import SHIPPED

    mesh = tmp_path / "hand.obj"
    mesh.write_text(obj_text(HAND.vertices, load_hand_model().faces))
    assert hand("fit", weights, tmp_path / "a", "-n", 1, "--mesh", mesh, "--mesh-model", SHIPPED) == 0
    assert json.loads((tmp_path / "a" / "hands.json").read_text())["hands"][0]["error_m"] < 0.006


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["generate", "-n", "0"], 2, "-n 0: draw 1 to 256"),
        (["generate", "-n", "1000"], 2, "-n 1000: draw 1 to 256"),
        (["generate", "--steps", "0"], 1, "0 steps: take 1 to 1000"),
        (["fit", "--joints", "no.json"], 1, "no.json"),
        (["fit", "--joints", "nan.json"], 1, "holds NaN or infinite numbers"),
        (["fit", "--joints", "huge.json"], 1, "no list of 21 x 3 numbers"),
        (["fit", "--joints", "huger.json"], 1, "joints_std_m is no number"),
        (["fit", "--joints", "short.json"], 1, "no list of 21 joints"),
        (["fit", "--joints", "blind.json"], 1, "need the camera"),
        (["fit", "--joints", "typo.json"], 1, "'joint_m' is not known here"),
        (["fit", "--mesh", "small.obj"], 2, "say which with --mesh-model"),
        (["complete", "--mesh", "small.obj"], 1, "3 vertices, the hand model 1596"),
        (["complete", "--joints", "good.json", "--cut", "toe"], 2, "--cut toe: choose of thumb"),
        (["reconstruct", "no.png"], 1, "no.png"),
    ],
)
def test_bad_input_is_told_in_a_line(weights, tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    points = HAND.joints.tolist()
    contents = {
        "good": {"joints_m": points}, "short": {"joints_m": points[:5]}, "typo": {"joint_m": points},
        "blind": {"keypoints_px": seen(HAND.joints).tolist()}, "nan": {"joints_m": [[float("nan")] * 3, *points[1:]]},
        "huge": {"joints_m": [[10**400] * 3, *points[1:]]}, "huger": {"joints_m": points, "joints_std_m": 10**400},
    }  # fmt: skip
    for name, content in contents.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    Path("small.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert main(["hand", *arguments, "--model", str(weights), "--out", "out"]) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "Traceback" not in error


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    from prehend.io.films.reading import Video
    from prehend.resources import resource

    frame = next(iter(Video(str(resource("hands.mp4")))))
    path = tmp_path_factory.mktemp("picture") / "hand.png"
    cv2.imwrite(str(path), frame.image_rgb[..., ::-1])
    return path


def test_reconstruct_draws_hands_over_the_picture(weights, picture, tmp_path):
    assert hand("reconstruct", weights, tmp_path / "out", picture, "-n", 2) == 0
    told = json.loads((tmp_path / "out" / "hands.json").read_text())
    assert told["frame"] == "given" and told["hands"][0]["joints_m"][0][2] > 0.1
    assert cv2.imread(str(tmp_path / "out" / "sheet.png")).shape == (240, 720, 3)


def test_weights_that_look_at_images_are_shown_the_hand(picture, tmp_path):
    from prehend.prior.sampler import HandPrior, Sampling

    model = load_hand_model()
    notes = {"hand_model": {"name": model.name, "sha256": model.sha256}, "licence": "none"}
    looking = save_bundle(network(image="hand", image_layers=1, size=64), tmp_path / "tiny", "hhmr-s", notes).folder
    assert hand("reconstruct", looking, tmp_path / "out", picture, "-n", 2) == 0
    told = json.loads((tmp_path / "out" / "hands.json").read_text())
    seen_hand = look_at(picture, None, 1)
    crop = seen_hand.crop(64)
    assert crop.shape == (3, 64, 64) and crop.std() > 0.05
    prior = HandPrior.of_weights(looking)
    shown, blind = (prior.sample(2, seen_hand.known, Sampling(2), image) for image in (crop, None))
    best = shown.joints_m[shown.order()]
    np.testing.assert_allclose([one["joints_m"] for one in told["hands"]], best, atol=2e-6)
    assert not np.allclose(shown.joints_m, blind.joints_m, atol=1e-5)
