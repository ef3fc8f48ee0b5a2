"""What losses are made of: zero for the truth, more for more error, finite wherever training may come."""

import numpy as np
import pytest
import torch

from prehend_training.losses.crop import (
    balanced,
    bump,
    divergence,
    farthest_points,
    heatmap_divergence,
    mean_of_rows,
    rotation_distance,
)
from prehend_training.losses.detector import giou_loss, heat_loss
from prehend_training.losses.distillation import laid_out_anew
from prehend_training.losses.h2onet import surface_errors
from prehend_training.palms.losses import score_loss


def gradient(loss, *inputs):
    """Of a loss at some tensors."""
    given = [one.clone().requires_grad_() for one in inputs]
    loss(*given).backward()
    return [one.grad for one in given]


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 21, 2)])
def test_the_mean_is_over_rows_that_count_each_alike(shape):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([1.0, 0, 1, 0])
    assert mean_of_rows(values, rows) == pytest.approx(values[[0, 2]].mean().item(), abs=1e-6)
    assert mean_of_rows(values, torch.zeros(4)) == 0


@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, 1e30])
def test_rows_that_do_not_count_teach_nothing_whatever_they_hold(garbage):
    values = torch.tensor([[1.0, 2], [garbage, garbage], [3, 4]])
    rows = torch.tensor([1.0, 0, 1])
    assert mean_of_rows(values, rows) == 2.5
    (slope,) = gradient(lambda x: mean_of_rows(x, rows), values)
    assert slope.isfinite().all() and not slope[1].any() and (slope[[0, 2]] == 0.25).all()


def test_both_classes_weigh_alike_however_many_there_are():
    truth = torch.tensor([1.0] + [0.0] * 9)
    values = torch.where(truth > 0, 3.0, 1.0)
    assert balanced(values, truth, torch.ones(10)) == 2
    assert balanced(values, truth, 1 - truth) == 0.5  # a class that is not there counts as right


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.1, 1.0, 3.1])
def test_the_distance_of_turns_grows_with_the_angle_and_has_a_gradient(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    turned = torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float32)
    assert rotation_distance(turned, torch.eye(3)).item() == pytest.approx(2 * np.sin(angle / 2), abs=1.1e-3)
    (slope,) = gradient(lambda x: rotation_distance(x, torch.eye(3)), turned)
    assert slope.isfinite().all() and (slope.abs().sum() > 0) == (angle > 0)


@pytest.mark.parametrize("cells", [8, 16])
def test_a_bump_has_its_mean_at_its_place_and_a_sum_of_one(cells):
    places = torch.tensor([[[3.0, 4.25], [2.5, 5]]])
    maps = bump(places, cells)
    steps = torch.arange(float(cells))
    assert maps.shape == (1, 2, cells, cells) and torch.allclose(maps.sum((2, 3)), torch.ones(1, 2))
    found = torch.stack([(maps.sum(2) * steps).sum(-1), (maps.sum(3) * steps).sum(-1)], -1)
    torch.testing.assert_close(found, places, atol=0.02, rtol=0)


@pytest.mark.parametrize("place", [(-50.0, 4.0), (1e4, -1e4)])
def test_a_place_far_outside_of_the_map_has_a_bump_at_its_edge(place):
    maps = bump(torch.tensor([[place]]), 8)
    assert maps.isfinite().all() and maps.sum() == pytest.approx(1, abs=1e-5)


def test_maps_diverge_by_nothing_where_they_are_equal_and_by_more_the_farther_off():
    wanted = bump(torch.tensor([[[4.0, 4.0]]]), 9)
    off = [heatmap_divergence(bump(torch.tensor([[[4.0 + d, 4.0]]]), 9).log(), wanted).item() for d in range(4)]
    assert off[0] == pytest.approx(0, abs=1e-5) and off == sorted(off)
    (slope,) = gradient(lambda x: heatmap_divergence(x, wanted).sum(), torch.full((1, 1, 9, 9), -1e4))
    assert slope.isfinite().all() and slope.abs().sum() > 0


@pytest.mark.parametrize("said", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("wanted", [0.0, 1.0, 0.5])
def test_divergence_is_finite_at_its_ends(said, wanted):
    value = divergence(torch.tensor([said]), torch.tensor([wanted]))
    assert value.isfinite().all() and (value.item() > 0.1) == (said != wanted) and value >= -1e-6
    (slope,) = gradient(lambda x: divergence(x, torch.tensor([wanted])).sum(), torch.tensor([said]))
    assert slope.isfinite().all()


def boxes(*sides):
    """(1, 4, N) distances to left, top, right, bottom."""
    return torch.tensor(sides, dtype=torch.float32).T[None]


def test_equal_boxes_cost_nothing_and_distant_ones_up_to_two():
    one = boxes((10, 10, 10, 10), (3, 20, 5, 1))
    assert giou_loss(one, one).abs().max() < 1e-6
    far = giou_loss(boxes((1e-3, 1e-3, 1000, 1000)), boxes((1000, 1000, 1e-3, 1e-3)))
    assert 1 < far.item() <= 2


def test_the_cost_of_a_box_is_that_of_its_overlap():
    inner, outer = boxes((5, 5, 5, 5)), boxes((10, 10, 10, 10))
    assert giou_loss(inner, outer).item() == pytest.approx(1 - 100 / 400)  # their hull is the outer one
    assert giou_loss(inner, outer).item() == giou_loss(outer, inner).item()
    (slope,) = gradient(lambda x: giou_loss(x, outer).sum(), inner)
    assert (slope < 0).all()  # growing makes it better on every side


@pytest.mark.parametrize("tiny", [1e-6, 1e-3])
def test_a_box_of_nothing_has_a_gradient(tiny):
    (slope,) = gradient(lambda x: giou_loss(x, boxes((10, 10, 10, 10))).sum(), boxes((tiny,) * 4))
    assert slope.isfinite().all() and (slope <= 0).all()


@pytest.mark.parametrize("loss", [heat_loss, score_loss])
def test_scores_that_are_right_cost_nothing_and_sure_errors_most(loss):
    wanted, weight = torch.tensor([[1.0, 0.0, 0.5]]), torch.ones(1, 3)
    right = torch.tensor([[30.0, -30.0, 0.0]])
    assert loss(right, wanted, weight).item() == pytest.approx(0, abs=1e-6)
    costs = [loss(torch.tensor([[-logit, -30.0, 0.0]]), wanted, weight).item() for logit in (0.0, 2.0, 10.0)]
    assert costs[0] > 0 and costs == sorted(costs)
    (slope,) = gradient(lambda x: loss(x, wanted, weight), torch.tensor([[-1e4, 1e4, 0.0]]))
    assert slope.isfinite().all()


@pytest.mark.parametrize("loss", [heat_loss, score_loss])
def test_cells_without_weight_cost_nothing(loss):
    wanted, weight = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
    assert loss(torch.tensor([[-9.0, 9.0]]), wanted, weight) == 0
    (slope,) = gradient(lambda x: loss(x, wanted, weight), torch.tensor([[-9.0, 9.0]]))
    assert not slope.any()


def test_a_mesh_of_one_point_has_a_gradient():
    """As a fresh network may begin."""
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    truth = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]])
    slopes = gradient(lambda x: sum(part.sum() for part in surface_errors(x, truth, faces)), torch.zeros(1, 4, 3))
    assert slopes[0].isfinite().all()
    normals, edges = surface_errors(truth, truth, faces)
    assert normals.abs().max() < 1e-6 and edges.abs().max() < 1e-6


@pytest.mark.parametrize("count", [1, 5, 40])
def test_points_are_chosen_once_and_far_apart(count):
    points = np.random.default_rng(0).normal(size=(40, 3))
    chosen = farthest_points(points, count, 3)
    assert len(set(chosen.tolist())) == count and np.array_equal(chosen, farthest_points(points, count, 3))
    if count == 5:
        others = [np.random.default_rng(s).choice(40, 5, replace=False) for s in range(50)]

        def nearest(rows):
            apart = np.linalg.norm(points[rows][:, None] - points[rows], axis=-1)
            return apart[~np.eye(len(rows), dtype=bool)].min()

        assert nearest(chosen) > np.percentile([nearest(rows) for rows in others], 90)


def test_more_points_than_there_are_are_all_of_them():
    assert sorted(farthest_points(np.eye(3), 9, 0).tolist()) == [0, 1, 2]


def test_maps_of_the_same_region_are_laid_out_as_they_are():
    maps = bump(torch.tensor([[[4.0, 7.0], [10.0, 3.0]]]), 16, sigma=2.0)
    region = torch.tensor([[0.0, 0, 64, 64]])
    torch.testing.assert_close(laid_out_anew(maps, region, region, 16), maps, atol=2e-3, rtol=0.05)


def test_a_region_that_shows_nothing_of_a_map_is_finite():
    maps = bump(torch.tensor([[[4.0, 7.0]]]), 16)
    far = torch.tensor([[500.0, 500, 600, 600]])
    assert laid_out_anew(maps, torch.tensor([[0.0, 0, 64, 64]]), far, 16).isfinite().all()
