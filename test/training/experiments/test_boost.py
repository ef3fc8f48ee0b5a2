import json

import cv2
import pytest
from fake import fake_sample, write_fake

from prehend.errors import InvalidInput
from prehend.types import Box
from prehend_training.cli.main import main
from prehend_training.experiments.boost import ROWS, Compared, comparison_table
from prehend_training.experiments.table import Extent, markdown, run_table
from prehend_training.photos.labels import Photo, PhotoHand, PhotoLabels, write_labels
from prehend_training.train.loop.machine import Machine


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    write_fake(out, "crops", 6, seed=4)
    return out


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two pictures of a skeleton, one of each split."""
    folder, photos = tmp_path_factory.mktemp("photographs"), []
    for number, split in enumerate(("train", "validation")):
        sample = fake_sample(8, number)
        cv2.imwrite(str(folder / f"{number}.png"), sample.image)
        hand = sample.hands[0]
        size = sample.image.shape[1], sample.image.shape[0]
        label = PhotoHand(Box.around(hand.keypoints_px), hand.keypoints_px, None, hand.side)
        photos.append(Photo(f"{number}.png", size, (label,), True, split=split))
    write_labels(folder / "labels.json", PhotoLabels(folder, tuple(photos)))
    return folder / "labels.json"


@pytest.mark.parametrize("name", ["debug-unihope", "debug-h2onet-frame"])
def test_rows_differ_in_their_data_alone(name, crops, made, photographs, tmp_path):
    compared = Compared(crops, made, crops, 0.5)
    table = comparison_table((name,), compared, Extent(1, (0,), (crops,)), photographs, batch=4)
    report = run_table(table, tmp_path, Machine(threads=1))
    assert [row["row"] for row in report["rows"]] == [f"{name}-{row}" for row in ROWS]
    notes = [json.loads((tmp_path / f"{name}-{row}-0/run.json").read_text()) for row in ROWS]
    assert notes[0]["numbers"] == notes[1]["numbers"] == notes[2]["numbers"]
    assert [[entry["path"] for entry in note["data"]] for note in notes] == [
        [str(crops)], [str(crops), str(made)], [str(crops), str(crops)],
    ]  # fmt: skip
    for row in report["rows"]:
        assert set(row["measures"]) == {"J-PE", "PA J-PE", "V-PE", "photographs NME", "photographs PCK"}
        assert all(len(values) == 1 for values in row["measures"].values())
    assert (tmp_path / "comparison.md").read_text() == markdown(report)


def test_as_many_further_scenes_as_made_images_are_wanted(crops, made, tmp_path, capsys):
    with pytest.raises(InvalidInput, match="24 made images and 6 further scenes"):
        Compared(crops, crops, made, 0.3)
    with pytest.raises(InvalidInput, match="share"):
        Compared(crops, made, crops, 1.0)
    folders = {"--scenes": crops, "--made": made, "--further": crops, "--held-out": crops, "--out": tmp_path}
    given = [str(word) for option in folders.items() for word in option]
    assert main(["boost", "compare", "debug-unihope", *given, "--steps", "0"]) == 1
    assert "one step at least" in capsys.readouterr().err
