"""`prehend-train import` and `whole` for real: counts that add up, files that the other verbs take."""

import json

import cv2
import numpy as np
import pytest
from photo_work import write_photos

from prehend.types import Box
from prehend_training.cli.main import main
from prehend_training.inspect.batches import PHOTO_PX
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, read_labels, write_labels
from prehend_training.storage.shards import ShardFolder

ABOUT = ("--source", "some hands", "--licence", "CC0-1.0")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Six photographs of hands with joints and sides, two of nothing; the last hand is for validation."""
    folder = tmp_path_factory.mktemp("photographs")
    truth = write_photos(folder)
    photos = []
    for name, hands in sorted(truth.items()):
        of = tuple(PhotoHand(Box.around(points), points, None, side) for points, side in hands)
        split = "validation" if name.startswith("9") else "train"
        photos.append(Photo(f"hands/{name}", (200, 200), of, True, session=name, split=split))
    photos += [Photo(f"empty/{k}.png", (160, 120), (), True, session=f"e{k}", split="train") for k in range(2)]
    write_labels(folder / "labels.json", PhotoLabels(folder, tuple(photos), {"teacher": "people"}))
    return folder / "labels.json"


def counted(text):
    """What is counted, a line each."""
    return dict(line.rsplit(": ", 1) for line in text.splitlines() if ": " in line)


def test_hands_that_are_made_whole_are_counted_and_the_others_stay(labels, tmp_path, capsys):
    out = tmp_path / "whole.json"
    assert main(["whole", str(labels), "--out", str(out), "--no-prior", "--limit", "2"]) == 0
    counts = {name: int(value) for name, value in counted(capsys.readouterr().out).items()}
    before, after = read_labels(labels), read_labels(out)
    assert sum(counts.values()) == 2 and after.about["whole"] == counts and after.about["teacher"] == "people"
    made = [hand for photo in after.photos for hand in photo.hands if hand.rotations is not None]
    assert len(made) == counts.get("whole", 0) and [p.path for p in after.photos] == [p.path for p in before.photos]
    for one, other in zip(before.photos, after.photos, strict=True):
        assert [hand.side for hand in one.hands] == [hand.side for hand in other.hands]
        for a, b in zip(one.hands, other.hands, strict=True):
            assert np.allclose(a.keypoints_px, b.keypoints_px, atol=0.02)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--limit", "0"), "limit is 0"),
        (("--limit", "-3"), "limit is -3"),
        (("--split", "test"), "no photograph of 'test'"),
        (("--model", "nothing"), "nothing"),
    ],
)
def test_what_cannot_be_made_whole_is_one_line_and_no_file(more, words, labels, tmp_path, capsys):
    assert main(["whole", str(labels), "--out", str(tmp_path / "o.json"), "--no-prior", *more]) == 1
    error = capsys.readouterr().err.splitlines()
    assert words in error[-1] and error[-1].startswith("prehend-train whole: ") and not list(tmp_path.iterdir())


def test_labels_of_ours_are_imported_with_shards_that_hold_the_photographs(labels, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["import", str(labels), "--out", str(out), "--all-hands", "--validation", "0.5", *ABOUT]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(out / "labels.json")
    taken = read_labels(out / "labels.json")
    splits = {split: [p for p in taken.photos if p.split == split] for split in ("train", "validation")}
    for split, photos in splits.items():
        folder = ShardFolder.open(out / "shards" / split, verify=True)
        assert len(folder) == len(photos) > 0
        assert f"in shards of {split}: {len(photos)} of {len(photos)} photographs" in printed
        for photo, sample in zip(photos, folder, strict=True):
            picture = cv2.imread(str(labels.parent / photo.path))[..., ::-1]
            assert sample.image.shape == picture.shape and np.abs(sample.image.astype(int) - picture).mean() < 6
            assert [hand.side for hand in sample.hands if hand.side_known] == [h.side for h in photo.hands if h.side]
    text = (out / "labels.json").read_text()
    assert main(given) == 0 and (out / "labels.json").read_text() == text


def test_labels_alone_are_written_where_no_shards_are_wanted(labels, tmp_path):
    assert main(["import", str(labels), "--out", str(tmp_path / "out"), "--no-shards", *ABOUT]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.json"]
    told = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert "CC0-1.0" in json.dumps(told["sources"]) and "some hands" in json.dumps(told["sources"])


def test_photographs_that_lie_elsewhere_are_named_by_their_folder(labels, tmp_path, capsys):
    assert main(["import", str(labels), "--photos", str(tmp_path / "none"), "--out", str(tmp_path / "o"), *ABOUT]) == 1
    error = capsys.readouterr().err
    assert "none" in error and error.count("\n") == 1 and not (tmp_path / "o").exists()


def test_what_was_imported_can_be_shown_and_counted(labels, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["import", str(labels), "--out", str(out), "--all-hands", "--validation", "0", *ABOUT]) == 0
    sheet = tmp_path / "sheet.png"
    assert main(["show", f"photos:{out}/labels.json", "--out", str(sheet), "--count", "4", "--columns", "2"]) == 0
    assert max(cv2.imread(str(sheet)).shape) == 2 * 2 * PHOTO_PX
    capsys.readouterr()
    assert main(["show", f"photos:{out}/labels.json", "--first", "99", "--out", str(sheet)]) == 1
    assert "none from number 99 on" in capsys.readouterr().err
