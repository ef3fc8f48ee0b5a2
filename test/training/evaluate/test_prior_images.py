"""What a prior reads from images: more hypotheses are never worse, and what is aligned is aligned."""

from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import AssetError, InvalidInput
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model.asset import load_hand_model
from prehend.prior.sampler import HandPrior, Sampling
from prehend_training.evaluate.hhmr import HYPOTHESES
from prehend_training.evaluate.prior_images import aligned_mm, image_report
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.presets import preset


@pytest.fixture(scope="module")
def looking(crops):
    network = preset("debug-hhmr-image").task([crops]).network().network
    return HandPrior(network.eval(), load_hand_model(), "debug")


def test_more_hypotheses_are_never_worse(looking, crops):
    report = image_report(looking, ShardFolder.open(crops), 2, Sampling(steps=2, seed=1))
    shown = {name.split("_")[0] for name in report}
    assert "image" in shown and shown <= {"image", "joints", "both"}
    for what in shown:
        best = [report[f"{what}_best_of_{count}_mm"] for count in HYPOTHESES]
        assert best == sorted(best, reverse=True) and 0 < best[-1] < 200
        mesh = [report[f"{what}_vertices_best_of_{count}_mm"] for count in HYPOTHESES]
        assert mesh == sorted(mesh, reverse=True) and 0 < mesh[-1] < 200
    again = image_report(looking, ShardFolder.open(crops), 2, Sampling(steps=2, seed=1))
    assert again == report


def test_images_without_a_hand_are_named(looking):
    with pytest.raises(AssetError, match="show no hand"):
        image_report(looking, [], 2, Sampling(steps=2))


def test_hands_of_which_nobody_knows_where_they_are_do_not_count(looking, crops):
    """As of photographs: joints in the image alone, or no side."""
    folder = ShardFolder.open(crops)
    shown = next(sample for sample in (folder[row] for row in range(len(folder))) if sample.hands)
    for change in ({"joints_m": np.full((21, 3), np.nan)}, {"side_known": False}):
        flat = replace(shown, hands=tuple(replace(hand, **change) for hand in shown.hands))
        with pytest.raises(AssetError, match="show no hand"):
            image_report(looking, [flat], 1, Sampling(steps=1))
        report = image_report(looking, [flat, shown], 2, Sampling(steps=1))
        assert np.isfinite(list(report.values())).all()
    bare = replace(shown, hands=tuple(replace(hand, vertices_m=np.zeros((0, 3))) for hand in shown.hands))
    assert not any("vertices" in name for name in image_report(looking, [bare], 1, Sampling(steps=1)))


def test_a_prior_that_looks_at_no_images_reads_none(crops):
    network = preset("debug-hhmr").task([crops]).network().network
    blind = HandPrior(network.eval(), load_hand_model(), "blind")
    with pytest.raises(InvalidInput, match="'blind' look at no images"):
        image_report(blind, ShardFolder.open(crops), 2, Sampling(steps=1))


def test_a_hand_elsewhere_turned_and_larger_is_the_same_hand():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 0.04, (21, 3))
    moved = 1.3 * truth @ matrix_from_axis_angle(np.array([0.4, -1.0, 0.2])).T + [0.1, 0, 0.6]
    mirrored = truth * [-1, 1, 1]
    off = aligned_mm(np.stack([moved, truth, mirrored]), truth)
    np.testing.assert_allclose(off[:2], 0, atol=1e-6)
    assert off[2] > 5
