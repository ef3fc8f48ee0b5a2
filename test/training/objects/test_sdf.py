import numpy as np
import pytest
import torch

from prehend_training.objects import catalogue
from prehend_training.objects.sdf import MARGIN_M, SdfGrid

NAMES = ("box", "ball", "mug", "bottle")


@pytest.fixture(scope="module")
def grid():
    return SdfGrid.of([catalogue()[name] for name in NAMES], 48)


def points_near(solid, count=400, seed=0):
    rng = np.random.default_rng(seed)
    return solid.center_m + (rng.random((count, 3)) - 0.5) * (solid.extents_m + 1.9 * MARGIN_M)


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_the_grid_is_as_near_the_distance_as_its_cells_are_small(grid, number):
    solid = catalogue()[NAMES[number]]
    points = points_near(solid)
    found, slope = grid.distance(points, number)
    error = np.abs(found - solid.distance(points))
    # a distance grows by the way at most, so a cell's corner is off by its diagonal at most; mostly by much less
    diagonal = float(torch.linalg.norm(grid.step_m[number]))
    assert error.max() < diagonal
    assert np.percentile(error, 90) < 0.1 * diagonal
    assert np.median(np.linalg.norm(slope, axis=1)) == pytest.approx(1, abs=0.02)


def test_finer_grids_are_nearer(grid):
    solid = catalogue()["mug"]
    points = points_near(solid)
    errors = [
        np.abs(SdfGrid.of([solid], size).distance(points)[0] - solid.distance(points)).mean() for size in (16, 32, 64)
    ]
    assert errors[0] > 1.8 * errors[1] > 3 * errors[2]


def test_a_batch_of_solids_is_as_each_alone_and_its_gradient_is_true(grid):
    points = np.stack([points_near(catalogue()[NAMES[k]], 60, k) for k in (2, 0, 2)]).astype(np.float32)
    leaf = torch.from_numpy(points).requires_grad_()
    value, slope = grid.lookup(leaf, torch.tensor([2, 0, 2]))
    for row, number in enumerate((2, 0, 2)):
        assert np.allclose(value[row].detach().numpy(), grid.distance(points[row], number)[0], atol=1e-6)
    value.sum().backward()
    assert torch.allclose(leaf.grad, slope, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "near_m", "tolerance_m"), [((1.3, 1.3, 1.3), 0.02, 1.5e-3), ((1.15, 1.15, 0.85), 0.004, 1e-3)]
)
def test_stretched_lookups_measure_the_stretched_solid(grid, scale, near_m, tolerance_m):
    for number, name in enumerate(NAMES):
        solid = catalogue()[name].stretched(scale)
        points = points_near(solid, 800)
        true = solid.distance(points)
        found, _ = grid.distance(points, number, np.array(scale))
        near = np.abs(true) < near_m
        assert near.sum() > 20
        assert np.percentile(np.abs(found - true)[near], 90) < tolerance_m


def test_far_points_are_farther_and_pull_back(grid):
    for number, name in enumerate(NAMES):
        solid = catalogue()[name]
        away = np.random.default_rng(4).standard_normal((50, 3))
        away *= 0.6 / np.linalg.norm(away, axis=1, keepdims=True)
        found, slope = grid.distance(away, number)
        true = solid.distance(away)
        assert (found > true - 0.003).all()
        assert (found < true + 0.06).all()
        assert ((slope * away).sum(1) > 0).all()


def test_filled_grids_have_no_hollow():
    mug = catalogue()["mug"]
    middle = np.zeros((1, 3))
    assert SdfGrid.of([mug], 24).distance(middle)[0][0] > 0.01
    assert SdfGrid.of([mug], 24, filled=True).distance(middle)[0][0] < -0.01
