from dataclasses import replace

import numpy as np
import pytest

from prehend.adapters.mano import mano_parameters, read_mano_parameters, write_mano
from prehend.errors import InvalidInput, OutputError, SourceError
from prehend.geometry.rotations import matrix_from_axis_angle
from prehend.hand_model import load_hand_model, skin

SIDES = ("left", "right")
MODELS = {side: load_hand_model(side=side) for side in SIDES}


def off_origin(model):
    """A model whose wrist is away from the origin and moves with the shape, as MANO's does."""
    return replace(
        model,
        v_template=model.v_template + np.float32([0.09, 0.006, 0.007]),
        shapedirs=model.shapedirs + np.float32(0.002),
    )


@pytest.mark.parametrize("side", SIDES)
def test_the_parameters_give_the_mesh_back(bent, side):
    hand = bent(side, 1)
    for model in (MODELS[side], off_origin(MODELS[side])):
        posed = skin(model, hand.rotations, hand.betas, [0.1, 0.2, 0.7])
        got = mano_parameters(hand.rotations, hand.betas, posed.joints[0], model)
        back = skin(model, got.rotations, got.betas, got.trans)
        np.testing.assert_allclose(back.vertices, posed.vertices, atol=2e-6)
        np.testing.assert_allclose(got.trans, [0.1, 0.2, 0.7], atol=1e-6)


def test_smplx_reads_them(bent, tmp_path):
    """The oracle: smplx's MANO with these parameters has the estimate's mesh. The file is our hand in MANO's form."""
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    import pickle

    from prehend.conventions import MANO_PARENTS

    hand = bent("right", 2)
    model = off_origin(MODELS["right"])
    names = ("v_template", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean", "hands_components")
    content = {name: getattr(model, name).astype(np.float64) for name in names}
    parents = np.array([2**32 - 1, *MANO_PARENTS[1:]], np.int64)
    content |= {"f": model.faces.astype(np.uint32), "kintree_table": np.stack([parents, np.arange(16)])}
    (tmp_path / "MANO_RIGHT.pkl").write_bytes(pickle.dumps(content))
    layer = smplx.MANO(str(tmp_path / "MANO_RIGHT.pkl"), is_rhand=True, use_pca=False, flat_hand_mean=True)
    posed = skin(model, hand.rotations, hand.betas, [0.1, 0.2, 0.7])
    estimate = hand.estimate(joints_m=posed.joints, vertices_m=posed.vertices)
    write_mano(tmp_path / "hands.npz", [(1.5, estimate)], {"left": model.mirrored(), "right": model})
    file = read_mano_parameters(tmp_path / "hands.npz")
    pose, betas, trans = (torch.tensor(a, dtype=torch.float32) for a in (file.pose, file.betas, file.trans))
    with torch.no_grad():
        out = layer(global_orient=pose[:, :3], hand_pose=pose[:, 3:], betas=betas, transl=trans)
    np.testing.assert_allclose(out.vertices[0].numpy(), posed.vertices, atol=2e-5)


def test_file_round_trip(bent, tmp_path):
    hands = [(0.1, bent("left", 1).estimate(track_id=4)), (None, bent("right", 2).estimate(track_id=7))]
    path = tmp_path / "hands.npz"
    write_mano(path, hands, MODELS)
    file = read_mano_parameters(path)
    assert file.side == ("left", "right")
    assert file.track.tolist() == [4, 7]
    assert file.stamp[0] == 0.1
    assert np.isnan(file.stamp[1])
    assert not file.is_mano
    assert file.hand_model == MODELS["right"].name
    assert file.hand_model_sha256 == MODELS["right"].sha256
    for row, (_, hand) in enumerate(hands):
        R = matrix_from_axis_angle(file.pose[row].reshape(16, 3))
        np.testing.assert_allclose(R, hand.rotations, atol=1e-6)
        mesh = skin(MODELS[hand.side], R, file.betas[row], file.trans[row]).vertices
        np.testing.assert_allclose(mesh, hand.vertices_m, atol=5e-6)


def test_a_users_mano_is_named_as_such(bent, tmp_path):
    mano = replace(MODELS["right"], name="MANO (MANO_RIGHT.pkl)", flexion_axes=None)
    write_mano(tmp_path / "hands.npz", [(None, bent("right").estimate())], {"left": mano, "right": mano})
    assert read_mano_parameters(tmp_path / "hands.npz").is_mano


def test_bad_input(bent, tmp_path):
    with pytest.raises(InvalidInput, match="no hands"):
        write_mano(tmp_path / "hands.npz", [], MODELS)
    with pytest.raises(InvalidInput, match="betas holds NaN"):
        mano_parameters(np.tile(np.eye(3), (16, 1, 1)), np.full(10, np.nan), np.zeros(3), MODELS["right"])
    with pytest.raises(OutputError, match="cannot be written"):
        write_mano(tmp_path / "none" / "hands.npz", [(None, bent("right").estimate())], MODELS)
    with pytest.raises(SourceError, match="cannot be read"):
        read_mano_parameters(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(SourceError, match="cannot be read"):
        read_mano_parameters(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(SourceError, match="lacks 'schema'"):
        read_mano_parameters(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", schema=np.array([{}], object))
    with pytest.raises(SourceError, match="cannot be read"):
        read_mano_parameters(tmp_path / "pickled.npz")
