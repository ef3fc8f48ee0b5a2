import numpy as np
import pytest
import torch

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend_training.losses.h2onet import FoundMesh, mesh_terms, place_terms, surface_errors, switch_terms, true_mesh

ROWS = 3


@pytest.fixture(scope="module")
def hand():
    return HandLayer(load_hand_model())


@pytest.fixture(scope="module")
def faces():
    return torch.tensor(load_hand_model().faces.astype("int64"))


@pytest.fixture(scope="module")
def target():
    rng = np.random.default_rng(0)
    marks = ("presence", "right", "has_pose", "has_keypoints", "has_parts", "has_side")
    return dict.fromkeys(marks, torch.ones(ROWS)) | {
        "rotations": torch.tensor(matrix_from_axis_angle(rng.normal(size=(ROWS, 16, 3)) * 0.5), dtype=torch.float32),
        "betas": torch.tensor(rng.normal(size=(ROWS, 10)), dtype=torch.float32),
        "hand_box": torch.tensor([[10.0, 20.0, 50.0, 60.0]]).expand(ROWS, 4),
        "keypoints": torch.tensor(rng.random((ROWS, 21, 2)), dtype=torch.float32),
        "part_seen": torch.tensor(rng.integers(0, 2, (ROWS, 6)), dtype=torch.float32),
    }


def found(target, hand, moved=0.0):
    truth = true_mesh(target, hand)
    return FoundMesh(truth.vertices + moved, truth.joints + moved, target["rotations"][:, 0].clone())


def test_all_terms_are_nothing_at_the_truth_wherever_it_lies(target, hand, faces):
    for moved in (0.0, 0.3):
        terms = mesh_terms(found(target, hand, moved), target, hand, faces)
        assert set(terms) > {"vertices", "turned_joints", "rotation"}
        for name, value in terms.items():
            assert value < 1e-3, name


def test_the_truth_is_the_labelled_hand_without_its_direction(target, hand):
    truth, posed = true_mesh(target, hand), hand(target["rotations"], target["betas"])
    turned = truth.joints @ target["rotations"][:, 0].transpose(1, 2)
    torch.testing.assert_close(turned, posed.joints - posed.joints[:, :1], atol=1e-5, rtol=0)


def test_each_error_shows_in_its_own_terms(target, hand, faces):
    right = found(target, hand)
    swollen = right._replace(vertices=right.vertices * 1.1)
    terms = mesh_terms(swollen, target, hand, faces)
    assert terms["vertices"] > 1e-3 and terms["edges"] > 1e-4 and terms["joints"] == terms["rotation"] == 0
    turn = torch.tensor(matrix_from_axis_angle(np.array([0.2, 0, 0])), dtype=torch.float32)
    terms = mesh_terms(right._replace(rotation=turn @ right.rotation), target, hand, faces)
    assert terms["rotation"] > 1e-3 and terms["turned_joints"] > 1e-3 and terms["vertices"] < 1e-6


def test_the_direction_teaches_the_shape_nothing(target, hand, faces):
    right = found(target, hand)
    vertices, joints = (value.clone().requires_grad_() for value in (right.vertices * 1.1, right.joints))
    rotation = (right.rotation + 0.1).requires_grad_()
    terms = mesh_terms(FoundMesh(vertices, joints, rotation), target, hand, faces)
    (terms["turned_vertices"] + terms["turned_joints"] + terms["rotation"]).backward()
    assert vertices.grad is None and joints.grad is None and rotation.grad.abs().sum() > 0


def test_rows_that_are_not_known_do_not_count(target, hand, faces):
    wrong = found(target, hand)
    wrong = wrong._replace(vertices=wrong.vertices.clone().index_fill_(0, torch.tensor([1]), torch.nan))
    for mark in ("presence", "has_pose", "right"):
        terms = mesh_terms(wrong, target | {mark: torch.tensor([1.0, 0, 1])}, hand, faces)
        assert all(value.isfinite() and value < 1e-3 for value in terms.values()), mark


def test_normals_and_edges_of_a_square():
    square = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    cosines, lengths = surface_errors(2 * square, square, faces)
    assert cosines.abs().max() < 1e-6
    torch.testing.assert_close(lengths[0, :2], torch.tensor([1.0, 1.0]))
    folded = square.clone()
    folded[0, 2, 2] = 1.0
    assert surface_errors(folded, square, faces)[0].max() > 0.5


def test_places_are_measured_in_the_crop(target):
    wanted = (torch.tensor([10.0, 20.0]) + target["keypoints"] * 40 + 0.5) / 64
    terms = place_terms(wanted, 20 * (2 * target["part_seen"] - 1), target, 64)
    assert terms["places"] < 1e-6 and terms["occlusion"] < 1e-6
    off = place_terms(wanted + 0.1, torch.zeros(ROWS, 6), target, 64)
    assert off["places"] == pytest.approx(0.1, abs=1e-6) and off["occlusion"] == pytest.approx(np.log(2), abs=1e-6)


def test_a_crop_without_a_hand_teaches_its_absence_alone(target):
    absent = target | {"presence": torch.tensor([1.0, 1, 0]), "right": torch.tensor([1.0, 0, 1])}
    sure = 20 * torch.tensor([[1.0], [1], [-1]])
    terms = switch_terms(sure, 20 * torch.tensor([[1.0], [-1], [-1]]), absent)
    assert terms["presence"] < 1e-6 and terms["side"] < 1e-6
