import numpy as np
import pytest

from prehend.backends import open_backend
from prehend.errors import WeightsMismatch
from prehend.export.parity import TOLERANCE_MM, check_parity, compare
from prehend.weights import Bundle


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
