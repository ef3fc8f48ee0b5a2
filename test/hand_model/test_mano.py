import io
import os
import pickle
import sys
import types

import numpy as np
import pytest
from scipy import sparse

from prehend.errors import AssetError
from prehend.hand_model import load_hand_model, skin
from prehend.hand_model.mano import ArrayUnpickler

smplx = pytest.importorskip("smplx", reason="smplx, the oracle, is a development dependency")
torch = pytest.importorskip("torch", reason="smplx needs torch")


def oracle(path, model, axis_angles, betas):
    """Vertices and joints of smplx's own MANO."""
    layer = smplx.MANO(
        str(path), is_rhand=model.side == "right", use_pca=False, flat_hand_mean=True, batch_size=len(betas)
    )
    vectors = torch.tensor(axis_angles, dtype=torch.float32)
    result = layer(
        global_orient=vectors[:, 0], hand_pose=vectors[:, 1:].flatten(1), betas=torch.tensor(betas, dtype=torch.float32)
    )
    return result.vertices.detach().numpy(), result.joints.detach().numpy()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["hand", "rich"])
def test_skinning_agrees_with_smplx(request, write_mano, random_axis_angles, to_matrices, side, kind):
    from prehend.hand_model.torch_ import HandLayer

    model = request.getfixturevalue(kind)
    model = model if side == "right" else model.mirrored()
    rng = np.random.default_rng(3)
    vectors, betas = random_axis_angles(rng, 100), rng.normal(0, 1, (100, 10))
    vertices, joints = oracle(write_mano(model), model, vectors, betas)
    rotations = to_matrices(vectors)
    ours = skin(model, rotations, betas)
    np.testing.assert_allclose(ours.vertices, vertices, atol=1e-5)
    np.testing.assert_allclose(ours.joints16, joints[:, :16], atol=1e-5)
    layer = HandLayer(model)
    theirs = layer(torch.tensor(rotations, dtype=torch.float32), torch.tensor(betas, dtype=torch.float32))
    np.testing.assert_allclose(theirs.vertices.numpy(), vertices, atol=1e-5)
    np.testing.assert_allclose(theirs.joints.numpy(), ours.joints, atol=1e-5)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_mano_file_gives_the_same_hand(rich, as_mano, write_mano, protocol):
    content = as_mano(rich)
    content["J_regressor"] = sparse.csc_matrix(content["J_regressor"])
    loaded = load_hand_model(write_mano(content, protocol=protocol))
    assert loaded.side == "right"
    assert loaded.limits_rad is None
    np.testing.assert_array_equal(loaded.tips, rich.tips)
    for name in ("v_template", "faces", "weights", "shapedirs", "posedirs", "J_regressor", "hands_mean"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(rich, name))


@pytest.mark.parametrize("layout", [sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix, sparse.csc_array])
def test_every_sparse_layout_is_read(hand, as_mano, write_mano, layout):
    content = as_mano(hand) | {"J_regressor": layout(hand.J_regressor)}
    np.testing.assert_array_equal(load_hand_model(write_mano(content)).J_regressor, hand.J_regressor)


def test_the_side_is_told_by_the_geometry(rich, write_mano):
    left_file = write_mano(rich.mirrored(), "left.pkl")
    np.testing.assert_array_equal(load_hand_model(left_file, side="left").v_template, rich.mirrored().v_template)
    np.testing.assert_array_equal(load_hand_model(left_file, side="right").v_template, rich.v_template)


def test_more_shapes_than_ten_are_cut(hand, as_mano, write_mano):
    content = as_mano(hand)
    content["shapedirs"] = np.concatenate([content["shapedirs"], np.ones((hand.num_vertices, 3, 5))], 2)
    np.testing.assert_array_equal(load_hand_model(write_mano(content)).shapedirs, hand.shapedirs)


def test_the_usual_tips_on_the_usual_mesh(hand, as_mano, write_mano):
    content = as_mano(hand)
    for key in ("v_template", "weights", "shapedirs", "posedirs"):
        content[key] = content[key][:778]
    content["J_regressor"] = np.full((16, 778), 1 / 778)
    content["f"] = content["f"][(content["f"] < 778).all(1)]
    np.testing.assert_array_equal(load_hand_model(write_mano(content)).tips, [745, 317, 444, 556, 673])


def test_chumpy_arrays_are_read_without_chumpy(hand, as_mano, write_mano, monkeypatch):
    """Old files hold `shapedirs` as chumpy's selection of another array."""
    classes = {}
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        classes[name] = type(name, (), {"__module__": module, "__qualname__": name})
        fake = types.ModuleType(module)
        setattr(fake, name, classes[name])
        monkeypatch.setitem(sys.modules, module, fake)
    whole = np.concatenate([hand.shapedirs, hand.shapedirs], 2)
    leaf, picked = classes["Ch"](), classes["Select"]()
    leaf.__dict__["x"] = whole
    picked.__dict__.update(a=leaf, idxs=np.arange(whole.size).reshape(whole.shape)[..., :10].ravel())
    picked.__dict__["preferred_shape"] = hand.shapedirs.shape
    path = write_mano(as_mano(hand) | {"shapedirs": picked})
    monkeypatch.undo()
    np.testing.assert_array_equal(load_hand_model(path).shapedirs, hand.shapedirs)


class Malicious:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        (os.system, ("touch owned",), "system"),
        (eval, ("open('owned', 'w')",), "eval"),
        (getattr, (os, "system"), "getattr"),
        (np.load, ("owned",), "load"),
        (np.fromfile, ("owned",), "fromfile"),
    ],
)
def test_a_malicious_pickle_is_refused_by_name(hand, as_mano, write_mano, tmp_path, monkeypatch, call, arguments, name):
    monkeypatch.chdir(tmp_path)
    arguments = tuple(a if isinstance(a, str) else "os" for a in arguments)
    path = write_mano(as_mano(hand) | {"v_template": Malicious(call, *arguments)})
    with pytest.raises(AssetError, match=rf"{name}.*refused") as caught:
        load_hand_model(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_the_reconstructor_makes_only_stand_ins():
    stream = io.BytesIO(b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nNtR.")
    with pytest.raises(pickle.UnpicklingError, match="not expected"):
        ArrayUnpickler(stream).load()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: {k: v for k, v in c.items() if k != "weights"}, "no 'weights'"),
        (lambda c: c | {"f": c["f"] + 5000}, "outside"),
        (lambda c: c | {"posedirs": c["posedirs"][..., :9]}, "posedirs"),
        (lambda c: c | {"kintree_table": np.zeros((2, 16), int)}, "hang together"),
        (lambda c: [1, 2], "corrupt"),
    ],
)
def test_wrong_content_is_named(hand, as_mano, write_mano, change, says):
    with pytest.raises(AssetError, match=says):
        load_hand_model(write_mano(change(as_mano(hand))))


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"\x80\x02}q\x00.", b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f."]
)
def test_what_is_no_pickle_is_refused(tmp_path, content):
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(AssetError, match=r"bad\.pkl"):
        load_hand_model(tmp_path / "bad.pkl")


def test_a_cut_pickle_is_refused(hand, write_mano):
    path = write_mano(hand)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(AssetError, match="corrupt"):
        load_hand_model(path)
