import pytest
import torch

from prehend.models.sima.rays import canonical_points
from prehend_training.sima.losses import adaptation_terms, feature_distance, place_term, point_term

ROWS = torch.tensor([1.0, 1.0, 0.0])


def test_the_teacher_does_not_learn_and_rows_that_do_not_count_do_not_teach():
    said, taught = (torch.rand(3, 5, 4, requires_grad=True) for _ in range(2))
    feature_distance(said, taught, ROWS).backward()
    assert taught.grad is None
    assert said.grad[:2].abs().min() > 0 and said.grad[2].abs().max() == 0


def test_the_distance_does_not_depend_on_the_teachers_unit():
    said, taught = torch.rand(3, 5, 4), torch.rand(3, 5, 4)
    one, other = feature_distance(said, taught, ROWS), feature_distance(100 * said, 100 * taught, ROWS)
    torch.testing.assert_close(one, other)
    assert feature_distance(taught, taught, ROWS) < 1e-4
    assert feature_distance(torch.zeros_like(taught), torch.ones_like(taught), ROWS) == pytest.approx(1.0)


def test_terms_are_those_that_are_asked_for():
    pair = torch.rand(3, 5, 4), torch.rand(3, 5, 4)
    assert adaptation_terms(pair, None, ROWS).keys() == {"shape_enhancement"}
    assert adaptation_terms(None, pair, ROWS).keys() == {"orientation_enhancement"}
    assert len(adaptation_terms(pair, pair, ROWS)) == 2 and adaptation_terms(None, None, ROWS) == {}


def test_places_and_points_are_measured_in_the_crop_and_in_metres():
    target = {
        "presence": torch.ones(2), "right": torch.ones(2), "has_keypoints": torch.ones(2), "has_joints": torch.ones(2),
        "hand_box": torch.tensor([[10.0, 20, 50, 60]] * 2), "keypoints": torch.rand(2, 21, 2),
        "joints": torch.randn(2, 21, 3) * 0.05,
    }  # fmt: skip
    wanted = (torch.tensor([10.0, 20.0]) + target["keypoints"] * 40 + 0.5) / 64
    assert place_term(wanted, target, 64)["places"] < 1e-6
    assert place_term(wanted + 0.1, target, 64)["places"] == pytest.approx(0.1, abs=1e-6)
    points = canonical_points(target["joints"])
    assert point_term(points, target)["points"] < 1e-7
    assert point_term(points + 0.01, target)["points"] == pytest.approx(0.01, abs=1e-6)
