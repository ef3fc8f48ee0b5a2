"""Files of MANO parameters and of hand models whose bytes were damaged: read, or one line of ours."""

import io
import os

import numpy as np
import pytest

from prehend.adapters.mano import SCHEMA, read_mano_parameters, write_mano
from prehend.errors import AssetError, InvalidInput, OutputError, SourceError
from prehend.hand_model import load_hand_model

MODELS = {side: load_hand_model(side=side) for side in ("left", "right")}


def damaged(data: bytes, seed: int) -> bytes:
    """The same with a few bytes changed, cut off or put in, most of them where a zip says what is in it."""
    rng = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        near_the_end = rng.random() < 0.5
        place = len(changed) - 1 - int(rng.integers(0, 300)) if near_the_end else int(rng.integers(0, len(changed)))
        changed[max(place, 0)] = int(rng.integers(0, 256))
    return bytes(changed[: int(rng.integers(0, len(changed)))] if rng.random() < 0.1 else changed)


def npz(compressed: bool) -> bytes:
    file = io.BytesIO()
    arrays = {
        "schema": np.array("prehend.hand/1"),
        "v_template": np.zeros((40, 3)),
        "faces": np.arange(60).reshape(20, 3),
    }
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("part", range(2))
def test_a_damaged_hand_model_is_one_line(tmp_path, compressed, part):
    data = npz(compressed)
    for seed in range(50 * part, 50 * part + 50):
        path = tmp_path / f"{seed}.npz"
        path.write_bytes(damaged(data, seed))
        with pytest.raises(AssetError, match=str(path)) as told:
            load_hand_model(path)
        assert "\n" not in str(told.value)
        path.unlink()


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    path = tmp_path_factory.mktemp("mano") / "hands.npz"

    def make(hand):
        write_mano(path, [(0.5, hand), (None, hand)], MODELS)
        return path.read_bytes()

    return make


@pytest.mark.parametrize("part", range(2))
def test_damaged_parameters_are_read_or_told_in_one_line(tmp_path, bent, parameters, part):
    data = parameters(bent("right").estimate())
    for seed in range(50 * part, 50 * part + 50):
        path = tmp_path / "hands.npz"
        path.write_bytes(damaged(data, seed))
        try:
            read_mano_parameters(path)
        except SourceError as error:
            assert str(path) in str(error) and "\n" not in str(error)


CHANGES = {
    "pose": np.zeros((2, 45)), "betas": np.zeros((3, 10)), "trans": np.zeros(2), "side": np.array(["left", "up"]),
    "track": np.array(["a", "b"]), "stamp": np.array(["a", "b"]), "schema": np.array("prehend.mano/9"),
    "is_mano": np.zeros(2),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_arrays_of_another_form_are_told_with_the_files_name(tmp_path, bent, parameters, name):
    whole = dict(np.load(io.BytesIO(parameters(bent("right").estimate()))))
    for changed in ({**whole, name: CHANGES[name]}, {key: value for key, value in whole.items() if key != name}):
        np.savez(tmp_path / "x.npz", **changed)
        with pytest.raises(SourceError, match=r"x\.npz"):
            read_mano_parameters(tmp_path / "x.npz")


@pytest.mark.parametrize("side", ["left", "right"])
def test_parameters_are_read_as_they_were_written(tmp_path, bent, side):
    hand = bent(side).estimate(track_id=7)
    write_mano(tmp_path / "x.npz", [(None, hand), (2.5, hand)], MODELS)
    found = read_mano_parameters(str(tmp_path / "x.npz"))
    assert found.side == (side, side) and found.track.tolist() == [7, 7] and not found.is_mano
    assert np.isnan(found.stamp[0]) and found.stamp[1] == 2.5 and found.hand_model == MODELS["right"].name
    np.testing.assert_array_equal(found.pose[0], found.pose[1])
    np.testing.assert_allclose(found.betas[0], hand.betas)
    assert SCHEMA.startswith("prehend.mano/")


def test_what_cannot_be_written_or_read_is_ours(tmp_path, bent):
    with pytest.raises(InvalidInput, match="no hands"):
        write_mano(tmp_path / "x.npz", [], MODELS)
    with pytest.raises(OutputError, match="cannot be written"):
        write_mano(tmp_path / "gone" / "x.npz", [(None, bent("right").estimate())], MODELS)
    os.mkfifo(tmp_path / "fifo.npz")
    (tmp_path / "text.npz").write_text("no zip")
    for name in ("gone.npz", "text.npz", "."):
        with pytest.raises(SourceError):
            read_mano_parameters(tmp_path / name)
