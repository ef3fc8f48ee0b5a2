"""What a reader of a report on photographs sees, and in which order."""

from prehend.eval.calibration import reliability
from prehend.eval.photographs.tables import photo_tables, readme_table

GROUP = {
    "n": 3, "answered": 1.0, "found": 0.5, "error_px": 4.0, "nme": 0.1, "pck": 0.9, "pck_all": 0.45, "n3d": 3,
    "pa_mm": 12.34, "root_mm": 30.0, "absolute_mm": 80.0, "side": None, "cameras_given": True,
}  # fmt: skip
SCORES = [{"threshold": 0.5, "answers": 4, "precision": 0.75, "recall": 1.0, "false_a_picture": 0.25}]


def report(**more):
    own = {"sets": {"home": {**GROUP, "false_a_picture": 0.25, "pictures": 3}}, "scores": SCORES}
    given = {"sets": {"home": {**GROUP, "pck_all": 0.95, "cameras_given": False}}, "time_ms": {"median": 5.0, "p95": 9}}
    none = reliability([], [])
    return {
        "model": {"name": "net", "weights_sha256": "0" * 64},
        "columns": {"detector": own, "boxes": given},
        "calibration": {"presence": reliability([0.9], [1]), "side": none, "grasp": none, "true_above_false": None},
        **more,
    }


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_a_user_gets_without_boxes_comes_first():
    head, _, row = readme_table(report()).splitlines()
    own = ["own detector: found", "PCK", "wrist-aligned [mm]", "absolute [mm]", "side", "false a picture"]
    assert cells(head)[:7] == ["photographs (labels)", *own]
    assert cells(row)[:7] == ["home (3)", "0.500", "0.450", "30.0", "80.0", "-", "0.250"]
    assert cells(head)[7:] == ["boxes given: PCK", "PA [mm]", "wrist-aligned [mm]", "absolute [mm]"]
    assert cells(row)[7:] == ["0.950", "12.3", "30.0", "~80.0"], "the camera was assumed"


def test_pictures_without_hands_tell_false_hands_alone():
    told = report()
    told["columns"]["detector"]["sets"]["walls"] = {"n": 0, "pictures": 40, "false_a_picture": 0.1}
    row = readme_table(told).splitlines()[-1]
    assert cells(row)[0] == "walls (no hands, 40 images)" and cells(row)[6] == "0.100"
    assert set(cells(row)[1:]) == {"-", "0.100"}


def test_every_part_of_a_report_becomes_a_table():
    clip = {
        "frames": 10, "frames_with_hands": {"0": 1, "1": 7, "3": 2}, "tracks": 2, "hands": 1, "side_changes": 1,
        "side_changes_of_hands": 2, "lost_share": 0.1, "jitter_hand": {"median": 0.01, "p95": 0.02},
        "wrist_jitter_mm": None, "time_ms": {"median": 8.0, "p95": 9.0},
        "false_hands": {"frames": 9, "frames_with_false_hands": 2, "false_hands": 3, "frames_with_missed_hands": 0},
    }  # fmt: skip
    pair = {"median": 84.0, "p95": 290.0}
    stereo = {
        "unit_mm": 38.2, "unit_fitted": True, "frames": 10, "both": 9, "joints_mm": pair, "wrist_mm": pair,
        "aligned_wrist_mm": None,
    }  # fmt: skip
    text = photo_tables(report(clips={"a.mp4": clip}, stereo=stereo))
    assert "| 0.5 " in text and "| presence |" in text and "boxes given 5.0 ms an image" in text
    assert "1 / 7 / 0 / 2" in text and "1 (2)" in text and "2 of 9" in text and "0.0100 / 0.0200" in text
    assert "unit 38.2 mm, fitted; both see a hand in 9 of 10 frames" in text and "84.0 / 290.0 mm" in text
    alone = photo_tables({"model": report()["model"], "columns": {}, "clips": {"a.mp4": clip}})
    assert "## All measures" not in alone and "a.mp4" in alone
