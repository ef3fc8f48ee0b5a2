import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.fit import pose_of_mesh
from prehend.hand_model.model import HandModel


@pytest.fixture(scope="module")
def model() -> HandModel:
    return load_hand_model().without_forearm()


@pytest.mark.parametrize("mirrored", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("seed", range(5))
def test_a_posed_mesh_gives_its_pose_and_shape_back(model: HandModel, seed: int, mirrored: bool) -> None:
    model = model.mirrored() if mirrored else model
    rng = np.random.default_rng(seed)
    curled = rng.normal(0, 0.35, (16, 3))
    curled[0] = rng.normal(0, 2, 3)
    rotations, betas = matrix_from_axis_angle(curled), rng.normal(0, 1, 10)
    posed = skin(model, rotations, betas, rng.normal(0, 1, 3))
    found = pose_of_mesh(model, posed.vertices)
    again = skin(model, found.rotations, found.betas)
    off = (again.joints - again.joints[0]) - (posed.joints - posed.joints[0])
    assert np.linalg.norm(off, axis=-1).max() < 2e-3
    assert np.rad2deg(geodesic_angle(found.rotations[0], rotations[0])) < 2.5
    np.testing.assert_allclose(np.linalg.det(found.rotations), 1, atol=1e-6)


def test_a_mesh_turned_as_a_whole_turns_the_wrist_alone(model: HandModel) -> None:
    rng = np.random.default_rng(0)
    posed = skin(model, matrix_from_axis_angle(rng.normal(0, 0.3, (16, 3))), np.zeros(10)).vertices
    turn = np.asarray(matrix_from_axis_angle(np.array([0.4, -1.0, 0.3])), np.float64)
    one, other = pose_of_mesh(model, posed), pose_of_mesh(model, posed @ turn.T)
    np.testing.assert_allclose(other.rotations[0], turn @ one.rotations[0], atol=1e-4)
    np.testing.assert_allclose(other.rotations[1:], one.rotations[1:], atol=1e-4)
    np.testing.assert_allclose(other.betas, one.betas, atol=1e-3)


def test_a_mesh_of_another_hand_is_refused(model: HandModel) -> None:
    with pytest.raises(InvalidInput, match="vertices"):
        pose_of_mesh(model, np.zeros((778, 3)))
