"""Which grasps are unlike each other: farthest-point and cross-distribution sampling."""

import numpy as np
import pytest

from prehend.errors import AssetError, InvalidInput
from prehend_training.boost.distances import cosine_distances, farthest_poses, novelty, pose_vectors, spread_of
from prehend_training.boost.poses import choose_grasps, grasp_vectors
from prehend_training.grasps.library import load_grasps


def test_a_distance_is_nothing_to_itself_and_two_to_the_opposite():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 67))
    assert np.allclose(np.diag(cosine_distances(vectors, 3 * vectors)), 0, atol=1e-12)
    assert np.allclose(np.diag(cosine_distances(vectors, -vectors)), 2)


def test_where_one_side_knows_no_objects_only_hands_are_compared():
    rng = np.random.default_rng(1)
    hands = rng.normal(size=(4, 60))
    with_objects = np.concatenate([hands, rng.normal(size=(4, 7))], 1)
    assert np.allclose(cosine_distances(with_objects, hands), cosine_distances(hands, hands))


def test_the_hands_own_orientation_plays_no_part():
    grasps = load_grasps("mug")
    rotations = np.tile(np.eye(3), (3, 16, 1, 1))
    turned = rotations.copy()
    turned[:, 0] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert np.array_equal(pose_vectors(rotations), pose_vectors(turned))
    assert grasp_vectors(grasps).shape == (len(grasps), 67)


@pytest.mark.parametrize("object_id", ["mug", "apple"])
def test_farthest_poses_repeat_themselves_less_than_random_ones(object_id):
    vectors = grasp_vectors(load_grasps(object_id))
    rng = np.random.default_rng(3)
    farthest = farthest_poses(vectors, 20, rng)
    assert len(set(farthest.tolist())) == 20
    random = [spread_of(vectors[rng.choice(len(vectors), 20, replace=False)]) for _ in range(20)]
    assert spread_of(vectors[farthest]) > max(random)


def test_each_farthest_pose_is_the_farthest_from_those_before():
    vectors = np.random.default_rng(4).normal(size=(30, 6))
    order = farthest_poses(vectors, 30, np.random.default_rng(0))
    assert sorted(order) == list(range(30))
    distances = cosine_distances(vectors, vectors)
    for count in range(1, 29):
        nearest = distances[:, order[:count]].min(1)
        assert nearest[order[count]] == pytest.approx(np.delete(nearest, order[:count]).max())


def test_what_is_like_real_poses_is_drawn_least():
    real = np.array([[1.0, 0, 0], [0.9, 0.1, 0]])
    synthetic = np.array([[1.0, 0.05, 0], [0, 1, 0], [-1, 0, 0]])
    probability = novelty(synthetic, real)
    assert probability.sum() == pytest.approx(1) and probability[0] == 0
    assert probability[2] > probability[1] > 0
    assert np.allclose(novelty(synthetic, np.zeros((0, 0))), 1 / 3)
    assert np.allclose(novelty(np.ones((4, 3)), real), 1 / 4)


def test_no_poses_and_no_library_are_refused():
    with pytest.raises(InvalidInput, match="0 poses"):
        farthest_poses(np.zeros((0, 3)), 5, np.random.default_rng(0))
    with pytest.raises(AssetError, match="prehend-train grasps"):
        choose_grasps("unicorn", 5, None, 0)
