"""A box does not say where its hand points: with depth, one of which the network is unsure is looked at turned, too."""

import math

import numpy as np
import pytest
from oracles import Oracle, turn_of
from true_hands import flat_hand

from prehend.geometry.camera import project
from prehend.geometry.rotations import geodesic_angle
from prehend.pipeline.crops.crop import direction_of, region_of
from prehend.pipeline.estimator import Estimator
from prehend.pipeline.observing.turns import TURNS_RAD, UNSURE
from prehend.types import Box, FoundHand

MM = 1e-3
DOWN = 2.9


class UpsideDown(Oracle):
    """Takes hands that do not point up in their crop for others that do, and is `unsure` of them."""

    unsure = 0.3
    sure = 0.01

    def _reads(self, affine: np.ndarray) -> bool:
        off = turn_of(affine) - direction_of(project(self.scene[0].joints, self.camera))
        return abs(math.remainder(off, 2 * math.pi)) < math.radians(60)

    def _places(self, hand, affine: np.ndarray, box: np.ndarray) -> np.ndarray:
        places = super()._places(hand, affine, box)
        return places if self._reads(affine) else 2 * places.mean(0) - places

    def _hand(self, inputs):
        out = super()._hand(inputs)
        for k, code in enumerate(inputs["hand_map"][:, :, 0, 0]):
            reads = self._reads(code[:6].reshape(2, 3).astype(float))
            out["keypoint_log_std"][k] = np.log(self.sure if reads else self.unsure)
            if not reads:
                out["rotations"][k, 0] = np.diag([-1.0, -1, 1]) @ out["rotations"][k, 0]
        return out


@pytest.fixture
def network(camera) -> UpsideDown:
    return UpsideDown(camera)


@pytest.fixture
def truth(network, new_hand):
    network.scene = [flat_hand(new_hand, "right", DOWN)]
    return network.scene[0]


@pytest.fixture
def box(truth, camera) -> FoundHand:
    return FoundHand(Box.around(project(truth.joints, camera)), "right")


@pytest.fixture
def depth(truth, camera, depth_of) -> np.ndarray:
    return depth_of(truth.skinned.vertices, camera)


def is_right(hand, truth) -> bool:
    apart = np.linalg.norm(hand.joints_m - truth.joints, axis=-1).max()
    return bool(apart < 15 * MM and geodesic_angle(hand.rotations[0], truth.rotations[0]) < 0.2)


def looks(network: Oracle) -> int:
    return sum(count for stage, count in network.batches if stage == "hand")


def test_with_depth_a_hand_that_points_down_is_found(network, truth, box, depth, camera, image) -> None:
    with Estimator(network) as estimator:
        (alone,) = estimator.estimate(image, camera, boxes=[box]).hands
        estimator.reset()
        (hand,) = estimator.estimate(image, camera, boxes=[box], depth=depth).hands
    assert not is_right(alone, truth)
    assert is_right(hand, truth)
    assert direction_of(hand.keypoints_px) == pytest.approx(DOWN, abs=0.1)


def test_depth_decides_where_no_look_is_surer(network, box, depth, camera, image) -> None:
    network.sure = network.unsure
    with Estimator(network) as estimator:
        (hand,) = estimator.estimate(image, camera, boxes=[box], depth=depth).hands
    assert direction_of(hand.keypoints_px) == pytest.approx(DOWN, abs=0.1)


def test_without_depth_there_is_one_look(network, box, camera, image) -> None:
    with Estimator(network) as estimator:
        estimator.estimate(image, camera, boxes=[box])
    assert looks(network) == 1


def test_a_hand_that_is_read_surely_is_looked_at_once(network, box, depth, camera, image) -> None:
    network.unsure = 0.7 * UNSURE
    with Estimator(network) as estimator:
        estimator.estimate(image, camera, boxes=[box], depth=depth)
    assert looks(network) == 1


def test_whoever_says_the_direction_is_believed(network, truth, box, depth, camera, image) -> None:
    region = region_of(project(truth.joints, camera))
    network.sure = network.unsure
    with Estimator(network) as estimator:
        hands = [FoundHand(box.box_px, "right", region=region)]
        estimator.estimate(image, camera, boxes=hands, depth=depth)
    assert looks(network) == 1


def test_a_hand_that_was_seen_is_not_turned_again(network, box, depth, camera, image) -> None:
    network.sure = network.unsure
    with Estimator(network) as estimator:
        for k in range(3):
            (hand,) = estimator.estimate(image, camera, k / 30, boxes=[box], depth=depth).hands
            assert direction_of(hand.keypoints_px) == pytest.approx(DOWN, abs=0.1)
    assert looks(network) == 1 + len(TURNS_RAD) + 2


def test_the_side_is_told_no_surer_by_further_looks(network, truth, box, depth, camera, image) -> None:
    found = FoundHand(box.box_px, None)
    with Estimator(network) as estimator:
        (hand,) = estimator.estimate(image, camera, boxes=[found], depth=depth).hands
        (track,) = estimator._tracker.tracks
        turned = track.belief.log_odds
    with Estimator(network) as estimator:
        given = FoundHand(box.box_px, None, region=region_of(project(truth.joints, camera)))
        estimator.estimate(image, camera, boxes=[given], depth=depth)
        (track,) = estimator._tracker.tracks
    assert hand.side == "right"
    assert turned == pytest.approx(track.belief.log_odds)
