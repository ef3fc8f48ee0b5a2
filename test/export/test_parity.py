import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import WeightsMismatch
from prehend.export.parity import TOLERANCE_MM, check_parity, compare, compare_apart
from prehend.weights import Bundle, available, load_bundle


def test_onnx_is_torch(bundle: Bundle) -> None:
    found = check_parity(open_backend("torch", bundle, threads=1), open_backend("onnx", bundle, threads=1))
    outputs = {f"{stage}/{spec.name}" for stage, file in bundle.stages.items() for spec in file.outputs}
    assert set(found.largest) == outputs
    assert max(found.largest.values()) < 1e-4
    assert found.joints_mm < TOLERANCE_MM / 10


class Skewed:
    """A backend whose answers are off by a share of themselves."""

    name = "skewed"

    def __init__(self, inner, share: float):
        self.inner, self.bundle, self.share = inner, inner.bundle, share

    def infer(self, stage, inputs):
        return {name: array * np.float32(1 + self.share) for name, array in self.inner.infer(stage, inputs).items()}


def test_a_difference_is_found_and_measured(bundle: Bundle) -> None:
    backend = open_backend("onnx", bundle, threads=1)
    found = compare(backend, Skewed(backend, 0.01), items=1)
    assert max(found.largest.values()) == pytest.approx(0.01, rel=1e-3)
    assert (found.joints_mm > TOLERANCE_MM) == ("hand" in bundle.stages)
    with pytest.raises(WeightsMismatch, match="skewed"):
        check_parity(backend, Skewed(backend, 0.01))


class Listening:
    """A backend that keeps what it was asked, and bends its answers of one stage by a share."""

    name = "listening"

    def __init__(self, inner, bent: str = "", share: float = 0.0):
        self.inner, self.bundle, self.bent, self.share, self.asked = inner, inner.bundle, bent, share, {}

    def infer(self, stage, inputs):
        self.asked[stage] = {name: np.array(array) for name, array in inputs.items()}
        answers = {name: np.array(array) for name, array in self.inner.infer(stage, inputs).items()}
        if stage == self.bent:
            answers["rotations"] = answers["rotations"] * np.float32(1 + self.share)
        return answers


@pytest.mark.skipif("unihope-s" not in available(), reason="no weights are shipped")
def test_no_stage_hides_how_far_an_earlier_one_is_off() -> None:
    """Two stages of unihope-s answer with a pose: that of one frame, and that of several."""
    backend = open_backend("onnx", load_bundle("unihope-s"), threads=1)
    assert list(backend.bundle.stages)[-2:] == ["hand", "fuse_frames"]
    found = {bent: compare_apart(backend, Listening(backend, bent, 0.05)) for bent in ("", "hand", "fuse_frames")}
    assert found[""].joints_mm == 0
    assert min(found[bent].joints_mm for bent in ("hand", "fuse_frames")) > 1
    assert min(found[bent].joints_mean_mm for bent in ("hand", "fuse_frames")) > 0.1


@pytest.mark.skipif("unihope-s" not in available(), reason="no weights are shipped")
def test_several_frames_are_those_of_a_hand_that_stands_still() -> None:
    backend = Listening(open_backend("onnx", load_bundle("unihope-s"), threads=1))
    compare_apart(backend, backend)
    asked = backend.asked["fuse_frames"]
    frames = asked["window_known"].shape[1]
    assert (asked["window_known"] == 1).all() and (asked["window_turn"] == np.eye(3)).all()
    hand = backend.inner.infer("hand", backend.asked["hand"])
    for name in ("rotations", "betas", "code"):
        for k in range(frames):
            np.testing.assert_allclose(asked[f"window_{name}"][:, k], hand[name], atol=1e-5)
