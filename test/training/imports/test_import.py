"""Photographs that people labelled, in every format, through the command into labels and shards that train."""

import json

import cv2
import numpy as np
import pytest

from prehend.conventions import JOINT_NAMES
from prehend.errors import InvalidInput, SourceError
from prehend_training.cli.main import main
from prehend_training.data.frames import DetectorBatches, DetectorDataConfig
from prehend_training.data.stores.datasets import ShardDataset
from prehend_training.data.stores.photographs import PhotoDataset
from prehend_training.imports.readers import read_any
from prehend_training.imports.take import Import, take, write_photo_shards
from prehend_training.photos.labels import read_labels
from prehend_training.storage.shards import ShardFolder

WIDTH, HEIGHT = 320, 240
ABOUT = ("--source", "my bench", "--licence", "CC0-1.0")


def joints(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform([60, 50], [250, 190]) + rng.uniform(-40, 40, (21, 2))).round(2)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "a").mkdir(parents=True)
    for k in range(6):
        picture = np.random.default_rng(k).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(folder / "a" / f"{k}.png"), picture)
    return folder


def as_coco(path, wholebody=False):
    images = [{"id": k, "file_name": f"a/{k}.png", "width": WIDTH, "height": HEIGHT} for k in range(4)]
    annotations = []
    for k in range(3):
        flat = np.column_stack([joints(k), np.full(21, 2)]).ravel().tolist()
        if wholebody:
            entry = {
                "lefthand_kpts": flat,
                "lefthand_valid": True,
                "righthand_kpts": [0.0] * 63,
                "righthand_valid": False,
            }
        else:
            entry = {"keypoints": flat, "category_id": 1}
        annotations.append({"id": k, "image_id": k, **entry})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "left hand"}]}
    path.write_text(json.dumps(content))
    return path


def as_cvat(path, kind="skeleton"):
    images = []
    for k in range(3):
        places = joints(k) + 0.5
        if kind == "skeleton":
            points = "".join(
                f'<points label="{name}" points="{x},{y}" outside="0" occluded="1"/>'
                for name, (x, y) in zip(JOINT_NAMES, places, strict=True)
            )
            shape = f'<skeleton label="hand"><attribute name="side">left</attribute>{points}</skeleton>'
        else:
            shape = f'<points label="left_hand" points="{";".join(f"{x},{y}" for x, y in places)}"/>'
        images.append(f'<image id="{k}" name="a/{k}.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image>')
    images.append(f'<image id="3" name="a/3.png" width="{WIDTH}" height="{HEIGHT}"/>')
    path.write_text(f"<annotations><version>1.1</version>{''.join(images)}</annotations>")
    return path


def as_ours(path):
    hand = lambda k: {"box_px": None, "keypoints_px": joints(k).tolist(), "side": "left", "held": None}  # noqa: E731
    entries = [{"path": f"a/{k}.png", "size": [WIDTH, HEIGHT], "hands": [hand(k)] if k < 3 else []} for k in range(4)]
    path.write_text(json.dumps({"schema": "prehend.photo_labels/1", "photos": entries}))
    return path


WRITERS = {
    "coco.json": as_coco,
    "wholebody.json": lambda path: as_coco(path, wholebody=True),
    "skeleton.xml": as_cvat,
    "points.xml": lambda path: as_cvat(path, "points"),
    "ours.json": as_ours,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_says_the_same(photos, tmp_path, capsys, name):
    """Three left hands whose joints are known and a photograph without a hand; all of it trains."""
    labels = WRITERS[name](photos / name)
    out = tmp_path / "out"
    assert main(["import", str(labels), "--out", str(out), "--all-hands", "--validation", "0", *ABOUT]) == 0
    told = capsys.readouterr().out
    assert "photographs taken: 4" in told
    assert "hands with joints: 3" in told
    assert "in shards of train: 4 of 4" in told
    read = read_labels(out / "labels.json")
    assert [photo.path for photo in read.photos] == [f"a/{k}.png" for k in range(4)]
    assert all(photo.all_hands_labelled and photo.split == "train" for photo in read.photos)
    for k in range(3):
        (hand,) = read.photos[k].hands
        assert hand.side == "left"
        np.testing.assert_allclose(hand.keypoints_px, joints(k), atol=0.011)
        assert hand.box_px is not None and hand.origin["keypoints"] == "people"
    dataset = PhotoDataset(read)
    assert len(dataset.hands) == 3
    assert dataset.describe()["sources"] == [
        {"prefix": "a", "title": "my bench", "licence": "CC0-1.0", "repository": ""}
    ]
    record = ShardDataset([out / "shards" / "train"], "frames")[0]
    assert record["image"].shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(record["keypoints_px"][0], joints(0), atol=0.011)
    assert record["has_keypoints"][0] and record["has_side"][0] and not record["has_joints"][0]


def test_freihands_json(photos, tmp_path, capsys):
    folder = tmp_path / "frei"
    (folder / "training" / "rgb").mkdir(parents=True)
    K = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    hands = np.stack([np.column_stack([(joints(k) - [160, 120]) / 300 * 0.5, np.full(21, 0.5)]) for k in range(2)])
    for k in range(2):
        cv2.imwrite(str(folder / "training" / "rgb" / f"{k:08d}.jpg"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    (folder / "training_xyz.json").write_text(json.dumps(hands.tolist()))
    (folder / "training_K.json").write_text(json.dumps([K.tolist()] * 2))
    assert main(["import", str(folder), "--out", str(tmp_path / "out"), "--validation", "0", *ABOUT]) == 0
    assert "in shards of train: 0 of 2" in capsys.readouterr().out  # nobody said that all hands are labelled
    read = read_labels(tmp_path / "out" / "labels.json")
    for k, photo in enumerate(read.photos):
        assert photo.hands[0].side == "right"
        np.testing.assert_allclose(photo.hands[0].keypoints_px, joints(k), atol=0.011)
    (folder / "training_K.json").write_text(json.dumps([K.tolist()]))
    with pytest.raises(SourceError, match="2 hands, but 1 cameras"):
        read_any(folder)
    (folder / "training_K.json").write_text(json.dumps([K.tolist()] * 2))
    (folder / "training_xyz.json").write_text(json.dumps((1000 * hands).tolist()))
    with pytest.raises(SourceError, match=r"training_xyz.json: hand 0 spans \d+ m: a hand does not"):
        read_any(folder)


def test_a_folder_that_cannot_be_made_is_one_line(photos, tmp_path, capsys):
    flat = np.column_stack([joints(0), np.full(21, 2)]).ravel().tolist()
    content = {"images": [{"id": 0, "file_name": "a/0.png"}], "annotations": [{"image_id": 0, "keypoints": flat}]}
    (photos / "coco.json").write_text(json.dumps(content))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(["import", str(photos / "coco.json"), "--photos", str(photos), "--out", str(out), *ABOUT]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"prehend-train import: {tmp_path / 'file'}"), line


def test_what_is_left_out_is_counted(photos, tmp_path):
    """Missing joints and boxes, images that are not there, of another size, outside the folder."""
    flat = np.column_stack([joints(0), np.full(21, 2)])
    partial = flat.copy()
    partial[5] = 0
    images = [{"id": k, "file_name": f"a/{k}.png", "width": WIDTH, "height": HEIGHT} for k in range(3)]
    images += [
        {"id": 3, "file_name": "a/gone.png"},
        {"id": 4, "file_name": "a/4.png", "width": 10, "height": 10},
        {"id": 5, "file_name": "../elsewhere.png"},
        {"id": 6, "file_name": "a/0.png"},
    ]
    cv2.imwrite(str(tmp_path / "elsewhere.png"), np.zeros((9, 9, 3), np.uint8))
    whole = [{"image_id": k, "keypoints": flat.ravel().tolist()} for k in (0, 3, 4, 5, 6)]
    partly = [{"image_id": k, "keypoints": partial.ravel().tolist()} for k in (0, 1)]
    far = [{"image_id": 2, "keypoints": (flat + np.array([900, 0, 0])).ravel().tolist()}]
    (photos / "coco.json").write_text(json.dumps({"images": images, "annotations": whole + partly + far}))
    labels, counts = take(read_any(photos / "coco.json", complete=True), Import(photos, "x", "CC0-1.0", 0.0))
    assert dict(counts) == {
        "photographs taken": 1,
        "hands with joints": 2,
        "hands left out: joints are missing and there is no box": 2,
        "hands left out: outside the image": 1,
        "photographs left out: no hand to learn from": 2,
        "photographs left out: missing or unreadable": 1,
        "photographs left out: of another size than their labels": 1,
        "photographs left out: outside the folder": 1,
        "photographs left out: listed twice": 1,
    }
    assert not labels.photos[0].all_hands_labelled  # one of its hands was left out
    assert labels.about["counts"]["x"] == dict(sorted(counts.items()))


def test_a_box_alone(photos, tmp_path):
    held = '<attribute name="held">true</attribute>'
    box = f'<box label="right hand" xtl="50.5" ytl="60.5" xbr="120.5" ybr="150.5">{held}</box>'
    (photos / "c.xml").write_text(
        f'<annotations><image name="a/0.png" width="{WIDTH}" height="{HEIGHT}">{box}</image></annotations>'
    )
    labels, counts = take(read_any(photos / "c.xml", complete=True), Import(photos, "x", "CC0-1.0", 0.0))
    (hand,) = labels.photos[0].hands
    assert counts["hands with a box alone"] == 1
    np.testing.assert_allclose(hand.box_px.as_array(), [50, 60, 120, 150])
    assert (hand.keypoints_px, hand.side, hand.held) == (None, "right", True)
    assert write_photo_shards(labels, tmp_path / "shards") == {"train": 1}
    (label,) = ShardFolder.open(tmp_path / "shards" / "train")[0].hands
    np.testing.assert_allclose(label.box_px, [50, 60, 120, 150], atol=1e-4)
    assert not label.has_keypoints and label.grasp


def test_shards_are_shrunk_repeatable_and_their_own(photos, tmp_path):
    labels, _ = take(read_any(as_coco(photos / "c.json"), complete=True), Import(photos, "x", "CC0-1.0", 0.0))
    for name in ("one", "two"):
        write_photo_shards(labels, tmp_path / name, longest_px=160)
    first, second = (next((tmp_path / name / "train").glob("*.tar")).read_bytes() for name in ("one", "two"))
    assert first == second
    sample = ShardFolder.open(tmp_path / "one" / "train")[1]
    assert sample.image.shape == (120, 160, 3)
    np.testing.assert_allclose(sample.hands[0].keypoints_px, (joints(1) + 0.5) / 2 - 0.5, atol=0.01)
    assert write_photo_shards(labels, tmp_path / "one", longest_px=160) == {"train": 4}
    with pytest.raises(InvalidInput, match="choose another folder"):
        write_photo_shards(labels, tmp_path / "one", longest_px=320)


def test_the_split_depends_on_the_photograph_alone(photos):
    found = read_any(as_coco(photos / "c.json"), complete=True)
    splits = [take(found, Import(photos, "x", "y", share))[0].photos for share in (0.0, 0.5, 0.999)]
    assert {photo.split for photo in splits[0]} == {"train"}
    assert {photo.split for photo in splits[2]} == {"validation"}
    kept = {photo.path for photo in splits[1] if photo.split == "validation"}
    half = take(found[:2], Import(photos, "x", "y", 0.5))[0].photos
    assert {photo.path for photo in half if photo.split == "validation"} == kept & {photo.path for photo in half}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xml", "hello", "no XML"),
        ("a.xml", "<annotations/>", "no export of 'CVAT"),
        ("a.xml", '<annotations><image name="x" width="w" height="3"><box/></image></annotations>', "xtl is ''"),
        (
            "a.xml",
            '<annotations><image name="x"><points points="1,2;3"/></image></annotations>',
            "expected x,y;x,y",
        ),
        (
            "a.xml",
            '<annotations><image><skeleton><points label="elbow" points="1,2"/></skeleton></image></annotations>',
            "'elbow' is no joint",
        ),
        ("a.json", "[]", "unknown format"),
        ("a.json", "{", "no JSON"),
    ],
)
def test_bad_labels_are_one_line(photos, tmp_path, capsys, name, content, words):
    (photos / name).write_text(content)
    assert main(["import", str(photos / name), "--out", str(tmp_path / "out"), *ABOUT]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_wrong_folders(photos, tmp_path, capsys):
    labels = as_coco(photos / "c.json")
    for more, words in (
        (["--photos", str(tmp_path / "none")], "no folder of photographs"),
        (["--photos", str(tmp_path)], "nothing was taken (3 photographs left out: missing or unreadable)"),
        (["--validation", "1"], "not between 0 and 1"),
    ):
        assert main(["import", str(labels), "--out", str(tmp_path / "out"), *ABOUT, *more]) == 1
        assert words in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.json"), "--out", str(tmp_path / "out"), *ABOUT]) == 1
    with pytest.raises(SystemExit):
        main(["import", str(labels), "--out", str(tmp_path / "out")])  # whose photographs they are must be said


def test_the_detector_trains_on_the_shards(photos, tmp_path):
    """Its batches have a hand where one is labelled and none in the photograph without."""
    labels, _ = take(read_any(as_coco(photos / "c.json"), complete=True), Import(photos, "x", "CC0-1.0", 0.0))
    write_photo_shards(labels, tmp_path)
    plain = DetectorDataConfig(flip_p=0.0, photometric=None)
    dataset = ShardDataset([tmp_path / "train"], "frames")
    batches = DetectorBatches(dataset, plain, 0, 4)
    samples = [batches.sample(row, np.random.default_rng(row)) for row in range(4)]
    assert [bool(sample["heat"].max() > 0.9) for sample in samples] == [True, True, True, False]
    assert all(np.isfinite(value).all() for sample in samples for value in sample.values())
