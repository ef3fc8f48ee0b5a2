"""Hands of films and of several views as crops."""

import numpy as np
import pytest
from fake import project, write_fake

from prehend.errors import AssetError
from prehend_training.cli import main as cli
from prehend_training.data.crop_targets import from_box
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.data.stores.frame_hands import FrameHands
from prehend_training.data.stores.open import open_training_data
from prehend_training.storage.shards import ShardFolder


@pytest.fixture(params=["films", "moments"])
def whole(request):
    """Folders of whole images of both kinds."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def various(tmp_path_factory):
    """Images with no, one or two hands, some of which hold something."""
    out = tmp_path_factory.mktemp("various")
    write_fake(out, "sequences", 8)
    return out


def test_crops_of_whole_images_show_their_hand(whole):
    dataset = open_training_data([whole], "crops", crop_px=64)
    assert isinstance(dataset, FrameHands) and len(dataset) == len(ShardFolder.open(whole))
    batch = CropBatches(dataset, exact(CropDataConfig(size_px=64, absent_p=0.0)), 1, 12).batch(0)
    assert batch["presence"].all() and batch["has_pose"].all() and batch["has_joints"].all() and batch["right"].all()
    for row in range(12):
        told = from_box(batch["keypoints"][row], batch["hand_box"][row])
        seen = project(batch["joints"][row] + batch["root"][row], batch["projection"][row])
        np.testing.assert_allclose(seen, told, atol=0.5)
        points = np.rint(told).astype(int)
        inside = ((points >= 1) & (points < 63)).all(-1)
        red = batch["image"][row][points[inside, 1], points[inside, 0], 0]
        assert np.median(red) > 100  # the background is below 60


def test_the_same_number_is_the_same_hand(moments):
    first, again = (FrameHands([moments], 64) for _ in range(2))
    sides = set()
    for index in range(len(first)):
        here, there = first[index], again[index]
        assert here["hand_count"] == 1
        assert all(np.array_equal(here[name], there[name], equal_nan=True) for name in here)
        sides.add(int(here["side"][0]))
    assert sides == {0, 1}


def test_an_image_without_a_hand_gives_way_to_another(various):
    folder, dataset = ShardFolder.open(various), FrameHands([various], 64)
    empty = [row for row in range(len(folder)) if not folder.labels(row)["hands"]]
    assert empty
    for row in empty:
        assert dataset[row]["hand_count"] == 1


def test_of_held_ones_every_hand_holds_something(various, films):
    assert {bool(FrameHands([various], 64)[index]["grasp"][0]) for index in range(24)} == {False, True}
    held = FrameHands([various], 64).held()
    assert all(held[index]["grasp"][0] for index in range(len(held)))
    with pytest.raises(AssetError, match="has a hand that holds something"):
        FrameHands([films], 64).held()[0]  # theirs are bare


def test_several_folders_are_one_source(films, moments):
    dataset = FrameHands([films, moments], 64)
    count = len(FrameHands([films], 64))
    assert len(dataset) == count + len(FrameHands([moments], 64))
    np.testing.assert_array_equal(dataset[0]["image"], FrameHands([films], 64)[0]["image"])
    assert sorted(dataset.indices(1, 0, len(dataset))) == list(range(len(dataset)))
    assert dataset.first(3) == [0, (len(dataset) - 1) // 2, len(dataset) - 1] and dataset.backdrop(None) is None


def test_other_folders_are_refused_with_a_way_out(films, crops, frames):
    with pytest.raises(AssetError, match="expected folders of crops"):
        open_training_data([frames], "crops")
    with pytest.raises(AssetError, match="expected folders of whole images"):
        FrameHands([frames], 64)
    with pytest.raises(AssetError, match="expected folders of whole images"):
        FrameHands([], 64)
    with pytest.raises(AssetError, match=r"give each its weight \(--data .*films.*=1, --data .*crops.*=1\)"):
        open_training_data([films, crops], "crops")


def test_a_crop_network_learns_from_films_beside_crops(films, crops, tmp_path, capsys):
    run = tmp_path / "run"
    words = f"train debug-unihope {run} --data {crops}=2 --data {films}=1 --steps 2"
    assert cli.main(words.split()) == 0
    told = (run / "run.json").read_text()
    assert films.name in told and crops.name in told
