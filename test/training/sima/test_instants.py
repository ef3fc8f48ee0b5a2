import numpy as np
import pytest
from dataset_writers import write_dexycb, write_freihand, write_hanco
from fake import open_lost_moments, open_one_camera, write_fake

from prehend.errors import AssetError, InvalidInput
from prehend_training.data.stores.open import DatasetChoice, Mixture
from prehend_training.engine.scenes import SceneConfig
from prehend_training.sima.instants import InstantDataset, open_instants
from prehend_training.storage.codec import Packing

PLAIN = Packing("none", "png")


def test_a_moment_is_one_hand_in_all_its_views(moments):
    dataset = open_instants([moments], 64)
    assert isinstance(dataset, InstantDataset) and len(dataset) == 6
    for number in range(6):
        seen = dataset.seen(number)
        assert [hand.row for hand in seen] == list(dataset.instants[number])
        sides = {int(hand.record["side"][0]) for hand in seen}
        wrists = [
            hand.T_camera_world[:3, :3].T @ (hand.record["joints_m"][0, 0] - hand.T_camera_world[:3, 3])
            for hand in seen
        ]
        assert len(sides) == 1 and np.ptp(wrists, axis=0).max() < 1e-5


def test_views_without_poses_are_named(tmp_path):
    write_fake(tmp_path, "views", 3, packing=PLAIN, make=open_lost_moments)
    with pytest.raises(
        AssetError, match=r"views without poses: its cameras see the same wrist \d\.\d\d m apart"
    ) as error:
        open_instants([tmp_path], 64)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_one_camera_is_named(tmp_path, films, crops):
    write_fake(tmp_path, "views", 3, packing=PLAIN, make=open_one_camera)
    with pytest.raises(AssetError, match="has one camera"):
        open_instants([tmp_path], 64)
    for folder in (films, crops):
        with pytest.raises(AssetError, match="--kind views"):
            open_instants([folder], 64)


def test_what_has_no_views_is_refused():
    with pytest.raises(AssetError, match="--kind views"):
        open_instants(SceneConfig("frames", 0, 64), 64)
    with pytest.raises(InvalidInput, match="no folder"):
        open_instants([], 64)


def test_a_real_dataset_of_several_cameras_has_moments(tmp_path):
    write_hanco(tmp_path)
    dataset = open_instants(DatasetChoice("hanco", tmp_path, "all"), 64)
    seen = dataset.seen(0)
    assert len({hand.row for hand in seen}) == len(seen) >= 2


def test_a_real_dataset_of_one_camera_has_none(tmp_path):
    write_freihand(tmp_path)
    with pytest.raises(AssetError, match=r"has one camera.*HanCo or DexYCB"):
        open_instants(DatasetChoice("freihand", tmp_path, "training"), 64)


def test_what_is_kept_in_memory_is_what_is_read(moments):
    kept, read = open_instants(Mixture((([moments], 1.0),), cache_gb=0.1), 64), open_instants([moments], 64)
    for number in (2, 2, 4):
        for one, other in zip(kept.seen(number), read.seen(number), strict=True):
            np.testing.assert_array_equal(one.record["image"], other.record["image"])
    assert kept.seen(2) is kept.seen(2) and read.seen(2) is not read.seen(2)


def test_sources_mix(moments):
    mixed = open_instants(Mixture((([moments], 1.0), ([moments], 3.0))), 64)
    assert len(mixed.indices(0, 0, 8)) == 8 and len(mixed[mixed.indices(0, 0, 8)[0]].seen()) == 5


def test_dexycb_has_moments_of_left_hands_too(tmp_path):
    write_dexycb(tmp_path, sequences=(("left", 8),), filled=1, cameras=3)
    dataset = open_instants(DatasetChoice("dexycb", tmp_path, "all"), 64)
    seen = dataset.seen(1)
    assert len(seen) == 3 and all(hand.record["side"][0] == 0 for hand in seen)
    assert not any(hand.record["has_pose"][0] for hand in seen)  # places alone without MANO
