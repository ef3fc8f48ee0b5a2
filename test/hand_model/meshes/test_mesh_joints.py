import numpy as np

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.meshes.joints import joints_of_mesh


def test_joints_follow_from_posed_meshes():
    """Within a millimetre on the mean; the model's own regressor, made for the unposed hand, is farther off."""
    model = load_hand_model()
    rng = np.random.default_rng(7)
    pose = np.zeros((20, 16, 3))
    pose[:, 1:, 2] = rng.uniform(0, 1.2, (20, 15))
    pose[:, 0] = rng.normal(size=(20, 3))
    posed = skin(model, matrix_from_axis_angle(pose), rng.normal(size=(20, 10)))
    off = np.linalg.norm(joints_of_mesh(model) @ posed.vertices - posed.joints, axis=2)
    own = np.linalg.norm(model.J_regressor @ posed.vertices - posed.joints16, axis=2)
    assert off.mean() < 0.0006 and off.mean() < own.mean() / 2


def test_joints_move_with_the_mesh():
    rows = joints_of_mesh(load_hand_model())
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)
