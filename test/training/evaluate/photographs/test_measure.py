"""Measuring on photographs and clips by the command itself, on images whose truth is known since we rendered them."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from prehend.conventions import NUM_JOINTS
from prehend.errors import SourceError
from prehend.eval.photographs.labels import read_labels
from prehend.io.films.writing import VideoWriter
from prehend.io.results.predictions import SCHEMA as PREDICTIONS
from prehend.types import Box
from prehend_training.cli import main as cli
from prehend_training.evaluate.photographs.clips import read_stereo, read_true_hands
from prehend_training.evaluate.photographs.measure import PhotoFiles
from prehend_training.inspect.batches import write_picture
from prehend_training.scenes.render.render import crop_sample, frame_sample
from prehend_training.train.presets import preset

SIZE = 256


@pytest.fixture(scope="module")
def samples(renderer):
    """Near hands, as of photographs, and images with small or no hands."""
    near = [crop_sample(renderer, 21, index, SIZE) for index in range(5)]
    far = [frame_sample(renderer, 22, index, SIZE) for index in range(5)]
    return {"near": near, "far": far}


def label(hand):
    return {
        "side": hand.side,
        "keypoints_px": hand.keypoints_px.tolist(),
        "visible": [1] * NUM_JOINTS,
        "joints_m": hand.joints_m.tolist(),
        "held": bool(hand.grasp),
    }


@pytest.fixture(scope="module")
def photos(samples, tmp_path_factory):
    """A folder of rendered images and gt.json beside them."""
    root = tmp_path_factory.mktemp("photos")
    labels = []
    for name, group in samples.items():
        for index, sample in enumerate(group):
            image = f"images/{name}/{index}.png"
            write_picture(root / image, sample.image)
            for hand in sample.hands:
                about = {"image": image, "set": name, "K": sample.camera.K.tolist()}
                about |= {"width": sample.camera.width, "height": sample.camera.height}
                labels.append({**about, **label(hand)})
    (root / "gt.json").write_text(json.dumps({"schema": "prehend.labels/1", "labels": labels}))
    return root


@pytest.fixture(scope="module")
def report(photos, tmp_path_factory):
    """The report, the folder of files, and the labels' predictions as a peer's: a peer that is always right."""
    out = tmp_path_factory.mktemp("out")
    labels = json.loads((photos / "gt.json").read_text())["labels"]
    frames = {one["image"]: {"source": one["image"], "hands": []} for one in labels}
    for one in labels:
        frames[one["image"]]["hands"].append({**one, "score": 0.9, "grasp": {"probability": float(one["held"])}})
    peer = out / "peer.json"
    peer.write_text(json.dumps({"schema": PREDICTIONS, "model": {}, "frames": list(frames.values())}))
    pytest.importorskip("matplotlib")
    options = ["--photos", str(photos), "--complete", "--peer", str(peer), "--out", str(out)]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    return json.loads((out / "metrics.json").read_text()), out


def test_rendered_pictures_are_measured_with_detector_and_with_boxes(report, samples):
    told, _ = report
    assert told["schema"] == "prehend.photo_evaluation/1" and told["detector"]["name"] == "palm"
    near, far = (told["columns"]["boxes"]["sets"][name] for name in ("near", "far"))
    assert near["n"] == len(samples["near"]) and far["n"] == sum(len(sample.hands) for sample in samples["far"])
    assert near["found"] > 0.5 and near["pa_mm"] < 40 and near["cameras_given"], "the shipped network sees near hands"
    own = told["columns"]["detector"]
    assert {"found", "pck_all", "root_mm", "absolute_mm", "false_a_picture"} <= own["sets"]["near"].keys()
    assert own["sets"]["all"]["n"] == near["n"] + far["n"] and own["time_ms"]["median"] > 0
    assert own["scores"][0]["answers"] >= own["scores"][-1]["answers"]
    assert told["calibration"]["presence"]["count"] == own["scores"][0]["answers"]


def test_a_peer_that_is_always_right_scores_full_marks(report, samples):
    peer = report[0]["columns"]["peer"]["sets"]
    for group in (peer["near"], peer["all"]):
        assert group["found"] == group["pck_all"] == group["side"] == 1
        assert max(group["pa_mm"], group["root_mm"], group["absolute_mm"], group["nme"]) < 1e-3
        assert group["false_a_picture"] == 0
    held = [bool(hand.grasp) for group in samples.values() for sample in group for hand in sample.hands]
    assert peer["all"]["grasp"]["hands"] == len(held) and peer["all"]["grasp"]["accuracy"] == 1


def test_files_hold_a_row_a_label_and_pictures_of_the_worst(report):
    told, out = report
    rows = list(csv.DictReader((out / "labels.csv").open()))
    sets = told["columns"]["boxes"]["sets"]
    assert len(rows) == 3 * sets["all"]["n"]
    given = [row for row in rows if row["column"] == "boxes"]
    assert np.mean([int(row["found"]) for row in given]) == pytest.approx(sets["all"]["found"], abs=1e-4)
    errors = [float(row["root_mm"]) for row in given if row["root_mm"]]
    assert np.mean(errors) == pytest.approx(sets["all"]["root_mm"], abs=1e-3)
    assert cv2.imread(str(out / "worst.jpg")).shape[1] == 6 * 320
    assert (out / "reliability.png").exists() and "own detector: found" in (out / "tables.md").read_text()


def test_the_readme_table_is_printed_alone_and_given_boxes_replace_the_labels(photos, tmp_path, capsys):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"images/near/0.png": [{"box_px": [10, 10, 240, 240], "side": "right"}]}))
    options = ["--photos", str(photos), "--boxes", str(boxes), "--markdown"]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    head, _, *rows = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("| photographs (labels) | own detector: found |") and len(rows) == 3
    told = tmp_path / "out"
    assert cli.main(["evaluate", "unihope-s", *options, "--out", str(told), "--worst", "0"]) == 0
    sets = json.loads((told / "metrics.json").read_text())["columns"]["boxes"]["sets"]
    assert sets["near"]["answered"] == pytest.approx(1 / 5), "pictures without boxes are not looked at"
    assert not (told / "worst.jpg").exists()


def test_pictures_without_hands_are_counted_apart(photos, tmp_path):
    for index in range(3):
        write_picture(tmp_path / "walls" / f"{index}.png", np.full((120, 160, 3), 60 * index, np.uint8))
    out = tmp_path / "out"
    options = ["--photos", str(photos), "--no-hand", str(tmp_path / "walls"), "--boxes", "detector", "--out", str(out)]
    assert cli.main(["evaluate", "unihope-s", *options, "--limit", "4"]) == 0
    sets = json.loads((out / "metrics.json").read_text())["columns"]["detector"]["sets"]
    assert sets["walls"]["n"] == 0 and sets["walls"]["pictures"] == 3 and sets["walls"]["false_a_picture"] is not None
    assert sets["near"]["false_a_picture"] is None, "not every hand there is labelled"


def test_labelled_images_that_are_not_there_are_told_and_count_as_not_found(photos, tmp_path, capsys):
    labels = json.loads((photos / "gt.json").read_text())
    labels["labels"] = [{**labels["labels"][0], "image": f"near/{name}.png"} for name in ("0", "lost")]
    (tmp_path / "gt.json").write_text(json.dumps(labels))
    write_picture(tmp_path / "near" / "0.png", cv2.imread(str(photos / "images/near/0.png")))
    out = tmp_path / "out"
    options = ["--photos", str(tmp_path), "--boxes", "true", "--worst", "0", "--out", str(out)]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    assert "1 of 2 labelled images are not there, such as near/lost.png" in capsys.readouterr().err
    sets = json.loads((out / "metrics.json").read_text())["columns"]["boxes"]["sets"]
    assert sets["near"]["n"] == 2 and sets["near"]["answered"] == 0.5 and sets["near"]["found"] <= 0.5


def test_pictures_without_labels_are_looked_at(photos, tmp_path, capsys):
    options = ["--look", str(photos / "images"), "--out", str(tmp_path)]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    (told,) = json.loads((tmp_path / "metrics.json").read_text())["looked_at"].values()
    assert told["pictures"] == 10 == sum(told["pictures_with_hands"].values())
    assert cv2.imread(str(tmp_path / "sheets" / "images_01.jpg")) is not None
    assert "10 images, hands found: " in capsys.readouterr().out


@pytest.fixture(scope="module")
def clip(samples, tmp_path_factory):
    """A near hand that moves to and fro before the camera."""
    path = tmp_path_factory.mktemp("clips") / "hand.mp4"
    writer = VideoWriter(path, 10.0)
    for index in range(9):
        writer.write(np.roll(samples["near"][0].image, 2 * (index % 3), axis=1))
    writer.close()
    return path


def test_clips_are_measured_without_labels(clip, tmp_path, capsys):
    truth = tmp_path / "hands.json"
    truth.write_text(json.dumps({"hand.mp4": [{"frames": [0, 3], "boxes": [[0, 0, SIZE, SIZE]]}]}))
    options = ["--clip", str(clip), "--sheet", "4", "--false-hands", str(truth), "--out", str(tmp_path)]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    told = json.loads((tmp_path / "metrics.json").read_text())["clips"]["hand.mp4"]
    assert told["frames"] == 9 == sum(told["frames_with_hands"].values()) and told["false_hands"]["frames"] == 4
    sheet = cv2.imread(str(tmp_path / "sheets" / "hand_01.jpg"))
    assert sheet is not None and sheet.shape[1] > sheet.shape[0], "frames 0, 4 and 8 side by side"
    assert "| hand.mp4 |" in capsys.readouterr().out


def write_calibration(prefix, K, T, number):
    def rows(matrix):
        return "".join(" ".join(str(value) for value in row) + " \n" for row in np.atleast_2d(matrix))

    own, placed = prefix.parent / f"rig_c{number}.dat", prefix.parent / f"rig_rot_trans_c{number}.dat"
    own.write_text(f"intrinsic:\n{rows(K)}distortion:\n0.1 0 0 0 0\n")
    more = "\n#below is something else\nR:\n1 0 0\n0 1 0\n0 0 1\nT:\n9\n9\n9\n"
    placed.write_text(f"R:\n{rows(T[:3, :3])}T:\n{rows(T[:3, 3:])}" + more)


def test_two_cameras_at_one_place_agree(clip, samples, tmp_path):
    prefix = tmp_path / "rig"
    T = np.eye(4)
    T[:3, 3] = [1, 2, 30]
    for number in (0, 1):
        write_calibration(prefix, samples["near"][0].camera.K, T, number)
    first, second = read_stereo(prefix)
    np.testing.assert_allclose(first.T_camera_world, T)
    assert first.camera.distortion[0] == 0.1 and np.allclose(second.camera.K, samples["near"][0].camera.K)
    copy = tmp_path / "other.mp4"
    copy.write_bytes(clip.read_bytes())
    options = ["--stereo", str(prefix), str(clip), str(copy), "--stereo-unit-mm", "20", "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", "unihope-s", *options]) == 0
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["stereo"]
    assert told["frames"] == 9 and told["unit_mm"] == 20 and not told["unit_fitted"]
    assert told["both"] > 0 and told["joints_mm"]["p95"] < 1e-3
    (tmp_path / "rig_c1.dat").write_text("intrinsic:\n1 2 3\n")
    with pytest.raises(SourceError, match=r"rig_c1\.dat: expected 9 numbers below a line 'intrinsic:'"):
        read_stereo(prefix)


POINTS = np.random.default_rng(0).uniform(10, 200, (NUM_JOINTS, 2)).round(1)
KNOWN = np.arange(NUM_JOINTS) != 3


def in_every_format():
    """The same left hand in each format of labels."""
    visible = KNOWN.astype(int)
    triples = np.column_stack([POINTS, 2 * visible]).tolist()
    image = {"id": 7, "file_name": "set/a.png", "width": 320, "height": 240}
    about = {"image": "set/a.png", "width": 320, "height": 240}
    nothing = [0] * (3 * NUM_JOINTS)
    hand = {"side": "left", "keypoints_px": POINTS.tolist(), "visible": visible.tolist()}
    gaps = [point if known else None for point, known in zip(POINTS.tolist(), KNOWN, strict=True)]
    photo = {"path": "set/a.png", "size": [320, 240], "split": "validation"}
    body = {
        "id": 1,
        "image_id": 7,
        "lefthand_kpts": np.ravel(triples).tolist(),
        "righthand_kpts": nothing,
        "lefthand_valid": True,
    }
    return {
        "hands": {"schema": "prehend.labels/1", "labels": [{**about, **hand}]},
        "photos": {
            "schema": "prehend.photo_labels/1",
            "photos": [{**photo, "hands": [{"side": "left", "keypoints_px": gaps, "box_px": None, "held": None}]}],
        },
        "coco": {
            "images": [image],
            "categories": [{"id": 2, "name": "left_hand"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "keypoints": np.ravel(triples).tolist()}],
        },
        "wholebody": {"images": [image], "annotations": [body]},
        "nested": {"images": [image], "annotations": [{**body, "lefthand_kpts": triples}]},
    }


@pytest.mark.parametrize("name", list(in_every_format()))
def test_every_format_tells_the_same_hand(name, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(in_every_format()[name]))
    (photo,) = read_labels(path)
    (hand,) = photo.hands
    assert (photo.name, photo.set_name, photo.size, hand.side) == ("set/a.png", "set", (320, 240), "left")
    np.testing.assert_array_equal(hand.mask, KNOWN)
    np.testing.assert_array_equal(hand.keypoints_px[KNOWN], POINTS[KNOWN])
    assert photo.split == ("validation" if name == "photos" else "")


def test_photo_labels_may_know_boxes_alone_and_that_nothing_else_is_there(tmp_path):
    path = tmp_path / "labels.json"
    hands = [{"box_px": [1, 2, 30, 40], "keypoints_px": None, "side": None, "held": True}]
    pictures = [{"image": "a.png", "hands": hands, "all_hands_labelled": True}, {"image": "b.png", "hands": []}]
    path.write_text(json.dumps({"schema": "prehend.photo_labels/1", "pictures": pictures}))
    first, second = read_labels(path)
    assert first.complete and first.hands[0].box_px == Box(1, 2, 30, 40) and first.hands[0].held is True
    assert not second.complete and second.hands == ()


def broken(name, **change):
    content = in_every_format()[name]
    key = {"hands": "labels", "photos": "photos"}.get(name, "annotations")
    content[key][0].update(change)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"schema": "prehend.labels/9"}, "unknown format of labels; known are prehend.labels/1"),
        ({"schema": "prehend.labels/1", "labels": []}, "labels no hand"),
        (broken("hands", keypoints_px=[[1, 2]]), "keypoints_px has 1 x 2 numbers, expected 21 x 2"),
        (broken("hands", visible=[1, 1]), "visible has 2 numbers, expected 21"),
        (broken("hands", side="up"), "side is 'up'"),
        (broken("coco", keypoints=[0] * 51), "has 51 numbers, expected 21 times x, y, v"),
        (broken("photos", hands=[{"box_px": [5, 5, 5, 9]}]), "box_px is empty"),
        ("[", "no JSON"),
    ],
)
def test_wrong_labels_are_explained_in_one_line(content, message, tmp_path, capsys):
    path = tmp_path / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert cli.main(["evaluate", "unihope-s", "--photos", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error and str(path) in error


def labelled_for(tmp_path, **about):
    write_picture(tmp_path / "set" / "a.png", np.zeros((240, 320, 3), np.uint8))
    (tmp_path / "gt.json").write_text(json.dumps(broken("hands", **about)))
    return f"--photos {tmp_path}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda path: f"--photos {path}", "photographs without labels (no gt.json"),
        (lambda path: f"--no-hand {path / 'nowhere'}", "no such folder"),
        (lambda path: f"--no-hand {path}", "the folder has no images"),
        (lambda path: labelled_for(path, width=640), "the labels are for 640 x 240 px, the image has 320 x 240"),
        (lambda path: labelled_for(path, image="b.png"), "none of the 1 labelled images is there, such as b.png"),
        (lambda path: labelled_for(path) + " --split test", "no photograph of split 'test': the labels know no splits"),
        (lambda path: labelled_for(path) + " --complete-set x", "no set 'x' to be complete: choose of set, or all"),
        (lambda path: labelled_for(path) + " --boxes nowhere.json", "nowhere.json: no such file"),
        (lambda path: labelled_for(path) + " --data x", "photographs and clips are measured apart"),
        (lambda path: f"--clip {path / 'a.mp4'} --sheet 3", "--sheet needs --out"),
        (lambda path: f"--clip {path / 'a.mp4'}", "no such file"),
        (lambda path: f"--look {path}", "--look needs --out"),
        (lambda path: f"--look {path / 'nowhere'} --out {path}", "no such folder"),
        (lambda path: f"--clip {path / 'a.mp4'} --markdown", "--markdown prints the table of --photos"),
        (lambda path: f"--stereo {path / 'rig'} a b", "rig_c0.dat: no such file"),
        (lambda path: f"--dataset freihand --boxes {path}", "choose one of true, detector, both"),
    ],
)
def test_wrong_use_is_explained_in_one_line(options, message, tmp_path, capsys):
    assert cli.main(["evaluate", "unihope-s", *options(tmp_path).split()]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]  # after the progress bar
    assert message in error and error.startswith("prehend-train evaluate: ")


def test_a_run_is_looked_at_without_exporting_it(photos, tmp_path):
    chosen = preset("debug-unihope")
    torch.manual_seed(0)
    (tmp_path / "run.json").write_text(json.dumps({"preset": chosen.name}))
    (tmp_path / "checkpoint").mkdir()
    save_file(dict(chosen.build().state_dict()), tmp_path / "checkpoint" / "averaged.safetensors")
    out = tmp_path / "out"
    options = ["--photos", str(photos), "--boxes", "true", "--limit", "3", "--out", str(out)]
    assert cli.main(["evaluate", str(tmp_path), *options]) == 0
    told = json.loads((out / "metrics.json").read_text())
    assert told["model"]["name"] == tmp_path.name and list(told["columns"]) == ["boxes"]
    assert told["columns"]["boxes"]["sets"]["near"]["answered"] == 1 and told["calibration"]["presence"]["count"] == 0


def test_pictures_are_found_by_the_end_of_their_path(tmp_path):
    for name in ("a/1.png", "b/1.png", "b/2.png"):
        write_picture(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    find = PhotoFiles([tmp_path])
    assert find("b/1.png") == tmp_path / "b/1.png" and find("somewhere/b/1.png") is None
    assert find("2.png") == (tmp_path / "b/2.png").resolve() and find("1.png") is None, "two would fit"


def test_true_hands_of_clips_are_checked(tmp_path):
    path = tmp_path / "hands.json"
    path.write_text(json.dumps({"a.mp4": [{"frames": [0, 4], "boxes": [[0, 0, 9, 9]]}]}))
    (span,) = read_true_hands(path)["a.mp4"]
    assert (span.first, span.last, span.regions) == (0, 4, (Box(0, 0, 9, 9),))
    path.write_text(json.dumps({"a.mp4": [{"frames": [0]}]}))
    with pytest.raises(SourceError, match=r"a\.mp4: expected"):
        read_true_hands(path)
