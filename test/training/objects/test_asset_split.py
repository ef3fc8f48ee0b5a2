import numpy as np
import pytest

from prehend_training.engine.scenes import SceneConfig
from prehend_training.grasps.library import library_ids, sample_grasp
from prehend_training.objects import sample_solid
from prehend_training.objects.asset_split import (
    ASSET_SPLITS,
    HELD_OUT_OBJECTS,
    drawn_from,
    skins_in_split,
    things_in_split,
)
from prehend_training.scenes.layout.posing import held_grasp
from prehend_training.scenes.people.skin import SKINS, sample_skin


def test_training_and_held_out_share_nothing_and_are_all():
    names = {}
    for split in ASSET_SPLITS:
        with drawn_from(split):
            names[split] = set(things_in_split(library_ids())), set(skins_in_split(SKINS))
    for kind in range(2):
        assert names["training"][kind].isdisjoint(names["held-out"][kind])
        assert names["training"][kind] | names["held-out"][kind] == names["all"][kind]
    assert names["held-out"][0] == HELD_OUT_OBJECTS
    assert len(names["held-out"][1]) == SKINS // 5


@pytest.mark.parametrize("split", ["training", "held-out"])
def test_what_is_sampled_is_in_the_split(split):
    rng = np.random.default_rng(0)
    with drawn_from(split):
        allowed, skins = set(things_in_split(library_ids())), set(skins_in_split(SKINS))
        held = {held_grasp(rng).solid.object_id for _ in range(60)} | {
            sample_grasp(rng).solid.object_id for _ in range(40)
        }
        beside = {sample_solid(rng).object_id for _ in range(60)}
        assert held <= allowed and beside <= allowed and len(held) > 5
        assert {sample_skin(rng).painting for _ in range(60)} <= skins
    # outside of it everything is drawn again
    assert not {sample_skin(rng).painting for _ in range(60)} <= skins


def test_all_is_drawn_as_if_there_were_no_stock():
    with drawn_from("all"):
        inside = sample_grasp(np.random.default_rng(5)).solid.object_id, sample_skin(np.random.default_rng(6)).painting
    assert inside == (
        sample_grasp(np.random.default_rng(5)).solid.object_id,
        sample_skin(np.random.default_rng(6)).painting,
    )


def test_a_folder_says_what_may_appear():
    assert "stock" not in SceneConfig("crops", 1, 160).describe()  # folders of before go on
    assert SceneConfig("crops", 1, 160, asset_split="held-out").describe()["stock"] == "held-out"
