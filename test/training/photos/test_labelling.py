"""Labels that a teacher gives photographs."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from photo_work import FACTS, LICENCE, Knows, labelled, write, write_photos

from prehend.errors import SourceError
from prehend.types import Box
from prehend_training.cli.main import main
from prehend_training.photos.agreement import AgreementRule
from prehend_training.photos.facts import PUBLIC, Facts, facts_for, read_facts
from prehend_training.photos.labelling import Labelling, label_photos
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, read_labels, write_labels
from prehend_training.photos.looks import whole_looks
from prehend_training.photos.teachers import MediapipeTeacher

HAND = np.random.default_rng(0).uniform(100, 200, (21, 2))


def test_public_sources_are_complete_and_keep_sessions_together():
    known = read_facts(PUBLIC)
    assert all(facts.licence != "not stated" and facts.repository for facts in known.values())
    assert facts_for("clips/bottle-detection_0004.jpg", known).prefix == "clips/bottle-detection"
    assert facts_for("clips/bird_0004.jpg", known).prefix == "clips"
    assert facts_for("clipsy/bird.jpg", known).prefix == ""
    subhi, shop = known["subhi"], known["no_hand"]
    assert subhi.session_of("subhi/3_1528499009.07_1.jpg") == subhi.session_of("subhi/3_pic00002.jpg") == "3"
    assert subhi.session_of("subhi/pic00002.jpg") == "pic"
    names = [f"no_hand/shop_{k:04}.jpg" for k in range(1000)]
    splits = {}
    for name in names:
        splits.setdefault(shop.session_of(name), set()).add(shop.split_of(name))
    assert len(splits) == 20 and all(len(split) == 1 for split in splits.values())
    assert {"train", "validation"} == set.union(*splits.values())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


def test_labels_say_what_is_known_and_by_whom(folder):
    truth = write_photos(folder)
    labels = labelled(folder, Knows(truth))
    again = read_labels(folder / "labels.json")
    photos = {photo.path: photo for photo in again.photos}
    assert again.folder == folder.resolve() and list(photos) == sorted(photos) and len(photos) == 10
    (hand,) = photos["hands/0_pic.png"].hands
    assert hand.side == truth["0_pic.png"][0][1] and hand.held is None
    assert np.abs(hand.keypoints_px - truth["0_pic.png"][0][0]).mean() < 1
    assert hand.origin == dict.fromkeys(("box_px", "keypoints_px", "side"), Knows.name)
    alone = next(hand for hand in photos["hands/1_pic.png"].hands if hand.keypoints_px is None)
    assert alone.origin == {"box_px": "boxes.json"} and alone.side is None
    assert photos["empty/0.png"].hands == () and photos["empty/0.png"].all_hands_labelled
    (held,) = photos["held/0.png"].hands
    assert held.held is True and held.side == "left" and held.box_px is None
    assert held.origin == {"side": "folder", "held": "folder"} and not photos["held/0.png"].all_hands_labelled
    assert photos["hands/9_pic.png"].split == "validation" and photos["hands/2_pic.png"].split == "train"
    assert again.about["counts"] == labels.about["counts"] and again.about["counts"]["hands"]["kept"] == 6
    assert {source["prefix"]: source["licence"] for source in again.about["sources"]} == {
        "hands": "MIT", "empty": "CC0-1.0", "held": "MIT"
    }  # fmt: skip


def test_a_side_that_contradicts_the_folder_and_an_unsure_answer_are_dropped(folder):
    truth = write_photos(folder)
    keypoints = truth["0_pic.png"][0][0] / 2
    labels = labelled(folder, Knows({**truth, "0.png": [(keypoints, "right")], "2_pic.png": []}))
    counts = labels.about["counts"]
    assert counts["held"]["dropped: other side"] == 1 and counts["held"].get("kept", 0) == 0
    empty = next(photo for photo in labels.photos if photo.path == "empty/0.png")
    assert len(empty.hands) == 1 and not empty.all_hands_labelled  # a sure hand where none should be


def test_a_hand_that_is_mostly_beyond_the_border_is_dropped(folder):
    truth = write_photos(folder)
    keypoints, side = truth["0_pic.png"][0]
    over = keypoints - [keypoints[:, 0].mean() + 0.2 * np.ptp(keypoints[:, 0]), 0]
    labels = labelled(folder, Knows({"0_pic.png": [(over, side)]}))
    assert labels.about["counts"]["hands"]["dropped: beyond the border"] == 1


def test_a_thing_of_a_strong_colour_is_no_hand_where_the_facts_say_so(folder):
    truth = write_photos(folder)
    write(folder / "empty" / "0.png", np.full((120, 160, 3), (250, 90, 10), np.uint8))
    facts = read_facts(folder / "sources.yaml")
    places = {"0.png": [(truth["0_pic.png"][0][0] / 2, "left")]}
    work = Labelling(folder, folder / "labels.json", facts, only=("empty/0",))
    assert label_photos(work, Knows(places)).about["counts"]["empty"]["kept"] == 1
    strict = {"empty": dataclasses.replace(facts["empty"], max_saturation=190)}
    counts = label_photos(dataclasses.replace(work, facts=strict), Knows(places)).about["counts"]
    assert counts["empty"]["dropped: colour"] == 1


def test_a_second_teacher_adds_what_the_first_did_not_know(folder):
    truth = write_photos(folder)
    labelled(folder, Knows({name: hands for name, hands in truth.items() if name != "2_pic.png"}))
    base = {photo.path: photo for photo in read_labels(folder / "labels.json").photos}
    second = Knows({**truth, "0_pic.png": [(HAND, "left")], "1.png": [(truth["0_pic.png"][0][0] / 2, "left")]})
    second.name = "teacher two"
    work = Labelling(
        folder, folder / "more.json", read_facts(folder / "sources.yaml"), base=base, only=("hands", "held/1")
    )
    photos = {photo.path: photo for photo in label_photos(work, second).photos}
    assert photos.keys() == base.keys() and set(second.asked) == {"1_pic.png", "2_pic.png", "1.png"}
    for name in ("hands/0_pic.png", "hands/9_pic.png", "held/0.png"):
        assert photos[name] == base[name]
    assert photos["hands/2_pic.png"].hands[0].origin["keypoints_px"] == "teacher two"
    (held,) = photos["held/1.png"].hands
    assert held.held is True and held.keypoints_px is not None and photos["held/1.png"].all_hands_labelled
    assert [hand.keypoints_px is None for hand in photos["hands/1_pic.png"].hands] == [False, True]


def test_a_known_box_is_one_hand_whatever_the_teacher_says_there(folder):
    """Two unsure answers in a known box are the box alone; a sure one takes its place."""
    truth = write_photos(folder)
    (keypoints, side) = truth["0_pic.png"][0]
    unsure = Knows({"0_pic.png": [(keypoints, side), (keypoints + 0.5 * np.ptp(keypoints, axis=0), side)]}, score=0.3)
    photo = next(photo for photo in labelled(folder, unsure).photos if photo.path == "hands/0_pic.png")
    assert len(photo.hands) == 1 and photo.hands[0].keypoints_px is None
    assert photo.hands[0].origin["box_px"] == "boxes.json"


class StopsAfter(Knows):
    def __init__(self, truth, count):
        super().__init__(truth)
        self.count = count

    def answers(self, path, looks, place):
        if path.name not in self.asked and len(set(self.asked)) == self.count:
            raise KeyboardInterrupt
        return super().answers(path, looks, place)


def test_a_command_that_was_stopped_goes_on(folder, tmp_path):
    truth = write_photos(folder)
    with pytest.raises(KeyboardInterrupt):
        labelled(folder, StopsAfter(truth, 5))
    assert not (folder / "labels.json").exists()
    answers = folder / "labels.json.answers.jsonl"
    answers.write_text(answers.read_text()[:-40])  # the last line was being written
    rest = Knows(truth)
    labels = labelled(folder, rest)
    assert len(labels.photos) == 10 and 5 <= len(set(rest.asked)) < 8
    idle = Knows(truth)
    labelled(folder, idle, rule=AgreementRule(score=0.999))
    assert not idle.asked  # another rule needs no teacher
    assert not any(hand.keypoints_px is not None for photo in read_labels(folder / "labels.json").photos
                   for hand in photo.hands)  # fmt: skip


def test_answers_that_were_damaged_are_told_with_their_line(folder):
    labelled(folder, Knows(truth := write_photos(folder)))
    answers = folder / "labels.json.answers.jsonl"
    lines = answers.read_text().splitlines(keepends=True)
    answers.write_text("".join([*lines[:2], lines[2][:30] + "\n", *lines[3:]]))
    with pytest.raises(SourceError, match=r"answers.jsonl, line 3: damaged: delete the lines from this one on"):
        labelled(folder, Knows(truth))
    answers.write_text("".join(lines[:2]))
    assert len(labelled(folder, Knows(truth)).photos) == 10


def test_answers_of_another_teacher_are_refused(folder):
    truth = write_photos(folder)
    labelled(folder, Knows(truth))
    other = Knows(truth)
    other.name = "teacher of another school"
    with pytest.raises(SourceError, match=r"another --out"):
        labelled(folder, other)


def entry(**changes):
    hand = {"box_px": [1, 2, 30, 40], "keypoints_px": np.ones((21, 2)).tolist(), "side": "left", "held": None} | changes
    photo = {"path": "a.png", "size": [64, 48], "split": "train", "all_hands_labelled": True, "hands": [hand]}
    return {"schema": "prehend.photo_labels/1", "folder": ".", "photos": [photo]}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[]", "schema"),
        ("{", "no labels"),
        (json.dumps({"schema": "prehend.photo_labels/9"}), "prehend.photo_labels/9"),
        (json.dumps(entry() | {"photos": []}), "no photographs"),
        (json.dumps(entry() | {"folder": "gone"}), "gone"),
        (json.dumps(entry(keypoints_px=[[1, 2]] * 20)), "21 x 2"),
        (json.dumps(entry(keypoints_px=[[1, None]] * 21)), "21 x 2"),
        (json.dumps(entry(box_px="wide")), "box_px"),
        (json.dumps(entry(side="both")), "side"),
        (json.dumps(entry() | {"photos": [{"path": "a.png"}]}), "incomplete"),
    ],
)
def test_labels_that_are_wrong_are_refused_in_one_line(content, word, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=word) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


def test_labels_come_back_as_they_were_written(tmp_path):
    hand = PhotoHand(Box(1, 2, 30, 40), HAND, np.full(21, 1.5), "left", True, 0.97, {"held": "folder"})
    photos = (Photo("a.png", (64, 48), (hand, PhotoHand(None)), False, "s/1", "validation", "ab"),)
    write_labels(tmp_path / "labels.json", PhotoLabels(tmp_path, photos, {"teacher": "me"}))
    again = read_labels(tmp_path / "labels.json")
    (back, bare), photo = again.photos[0].hands, again.photos[0]
    assert (photo.path, photo.size, photo.session, photo.split, photo.sha256) == (
        "a.png", (64, 48), "s/1", "validation", "ab"
    )  # fmt: skip
    assert np.allclose(back.keypoints_px, HAND, atol=0.006) and back.box_px == Box(1, 2, 30, 40)
    assert (back.side, back.held, back.score, back.origin) == ("left", True, 0.97, {"held": "folder"})
    assert bare.box_px is None and bare.side is None and again.about == {"teacher": "me"}
    elsewhere = tmp_path / "below" / "labels.json"
    write_labels(elsewhere, PhotoLabels(tmp_path, photos))
    assert read_labels(elsewhere).folder == tmp_path


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--teacher", "mediapipe"], "--python"),
        (["--teacher", "mediapipe", "--python", "/no/such/python"], "pip install mediapipe"),
        (["--teacher", "mediapipe", "--python", sys.executable], "No module named 'mediapipe'"),
        (["--teacher", "no-such-weights"], "no-such-weights"),
        (["--teacher", "mediapipe", "--sources", "gone.yaml"], "gone.yaml"),
        (["--teacher", "mediapipe", "--only", "gone"], "no images"),
        (["--teacher", "mediapipe", "--apart", "2"], "--apart"),
    ],
)
def test_bad_input_of_the_command_is_one_line(more, word, folder, tmp_path, capsys):
    write_photos(folder)
    assert main(["label", str(folder), "--out", str(tmp_path / "labels.json"), *more]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("prehend-train label: ") and word in error


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: [", "no list"), ("schema: x", "schema"), (f"{LICENCE}  a: {{colour: red}}", "may say"),
     (f"{LICENCE}  a: {{session: '('}}", "regular expression")],
)  # fmt: skip
def test_a_list_of_sources_that_is_wrong_is_refused(text, word, tmp_path):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(ValueError if word == "regular expression" else SourceError, match=word):
        read_facts(path)
    path.write_text(FACTS)
    assert read_facts(path)["held"].side == "left"


def test_a_picture_that_cannot_be_read_is_named_and_costs_itself(folder, capsys):
    truth = write_photos(folder)
    (folder / "hands" / "2_pic.png").write_bytes(b"")
    labels = labelled(folder, Knows(truth))
    assert len(labels.photos) == 9
    error = capsys.readouterr().err
    assert "2_pic.png" in error and "left out" in error
    assert sum(said.get("cannot be read", 0) for said in labels.about["counts"].values()) == 1
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    (folder / "labels.json.answers.jsonl").unlink()
    with pytest.raises(SourceError, match="none of its 10 images can be read"):
        labelled(folder, Knows(truth))


def test_labels_as_deep_as_no_labels_are_one_line(tmp_path):
    from prehend_training.photos.labelling import read_boxes

    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    for read in (read_labels, read_boxes):
        with pytest.raises(SourceError, match=r"deep\.json: "):
            read(deep)


def test_our_own_weights_are_a_teacher_too(folder, capsys):
    """Of boxes that are given; the images are no photographs, so what is kept may be nothing, but all is told."""
    write_photos(folder, 2)
    out = folder / "own.json"
    command = ["label", str(folder), "--teacher", "unihope-s", "--out", str(out), "--sources"]
    assert main([*command, str(folder / "sources.yaml"), "--only", "hands"]) == 0
    labels = read_labels(out)
    assert labels.about["teacher"].startswith("teacher unihope-s ")
    lines = [json.loads(line) for line in Path(f"{out}.answers.jsonl").read_text().splitlines()]
    looks = [look for line in lines[1:] for place in line["places"] for look in place["looks"]]
    assert len(labels.photos) == 2 and looks and "hands: " in capsys.readouterr().out


@pytest.mark.skipif("PREHEND_MEDIAPIPE" not in os.environ, reason="PREHEND_MEDIAPIPE names no Python with mediapipe")
def test_mediapipe_answers_in_pixels_of_the_picture(tmp_path):
    write(tmp_path / "grey.png", np.full((120, 160, 3), 128, np.uint8))
    teacher = MediapipeTeacher(Path(os.environ["PREHEND_MEDIAPIPE"]))
    assert teacher.name.startswith("teacher mediapipe 0.10")
    assert teacher.answers(tmp_path / "grey.png", whole_looks((160, 120)), None) == [[], []]
    with pytest.raises(SourceError, match=r"gone\.png"):
        teacher.answers(tmp_path / "gone.png", whole_looks((160, 120)), None)
    teacher.close()


def test_pictures_that_are_unlike_their_folder_are_the_other_way():
    known = {
        "empty": Facts("empty", hands=0, unlike=("shop_7",)),
        "held": Facts("held", hands=1, side="left", held=True, unlike=("train_3",)),
    }
    assert facts_for("empty/shop_70.jpg", known).hands == 0 and facts_for("empty/shop_7.jpg", known).hands == 1
    other = facts_for("held/train_3.jpg", known)
    assert (other.hands, other.side, other.held) == (0, None, None)
    assert read_facts("public")["no_hand"].unlike
