import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.errors import InvalidInput
from prehend.geometry.align import Similarity, procrustes
from prehend.geometry.rotations import matrix_from_quaternion


def known(seed: int, lead: tuple[int, ...] = ()) -> Similarity:
    rng = np.random.default_rng(seed)
    R = matrix_from_quaternion(rng.normal(size=(*lead, 4)))
    return Similarity(rng.uniform(0.2, 5, lead), R, rng.normal(size=(*lead, 3)))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(3, 30))
def test_recovers_a_known_similarity(seed: int, count: int) -> None:
    source = np.random.default_rng(seed).normal(size=(count, 3))
    truth = known(seed)
    found = procrustes(source, truth.apply(source))
    np.testing.assert_allclose(found.scale, truth.scale, rtol=1e-7)
    np.testing.assert_allclose(found.R, truth.R, atol=1e-6)
    np.testing.assert_allclose(found.t, truth.t, atol=1e-6)


def test_takes_leading_dimensions() -> None:
    source = np.random.default_rng(0).normal(size=(4, 2, 21, 3))
    truth = known(1, (4, 2))
    found = procrustes(source, truth.apply(source))
    assert found.scale.shape == (4, 2)
    np.testing.assert_allclose(found.apply(source), truth.apply(source), atol=1e-9)


def test_without_scale_the_motion_is_rigid() -> None:
    source = np.random.default_rng(2).normal(size=(21, 3))
    truth = known(3)
    found = procrustes(source, truth.apply(source), with_scale=False)
    assert found.scale == 1
    np.testing.assert_allclose(found.R, truth.R, atol=1e-9)


def test_refuses_reflections() -> None:
    source = np.random.default_rng(4).normal(size=(21, 3))
    found = procrustes(source, source * [-1, 1, 1])
    np.testing.assert_allclose(np.linalg.det(found.R), 1)
    assert np.abs(found.apply(source) - source * [-1, 1, 1]).max() > 0.1


def test_no_rigid_motion_near_the_answer_is_better() -> None:
    rng = np.random.default_rng(5)
    source, target = rng.normal(size=(2, 21, 3))
    weights = rng.uniform(0.1, 1, 21)

    def cost(s: Similarity) -> float:
        return float((weights * ((s.apply(source) - target) ** 2).sum(-1)).sum())

    best = procrustes(source, target, weights)
    for _ in range(100):
        turn = matrix_from_quaternion(np.append(rng.normal(size=3) * 0.01, 1))
        near = Similarity(best.scale * rng.normal(1, 0.01), turn @ best.R, best.t + rng.normal(size=3) * 0.01)
        assert cost(near) >= cost(best)


def test_points_of_weight_zero_do_not_count() -> None:
    source = np.random.default_rng(6).normal(size=(21, 3))
    truth = known(7)
    target = truth.apply(source)
    target[5:] += 100
    weights = np.array([1.0] * 5 + [0.0] * 16)
    np.testing.assert_allclose(procrustes(source, target, weights).R, truth.R, atol=1e-9)


def test_coinciding_points_keep_scale_one() -> None:
    found = procrustes(np.ones((4, 3)), np.full((4, 3), 2.0))
    assert found.scale == 1
    np.testing.assert_allclose(found.apply(np.ones((4, 3))), 2.0)


def test_unequal_sets_are_refused() -> None:
    with pytest.raises(InvalidInput, match="target"):
        procrustes(np.zeros((5, 3)), np.zeros((4, 3)))
