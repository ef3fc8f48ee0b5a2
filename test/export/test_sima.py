"""SiMA-Hand as bundles: what runs from the exported graph is what was trained, to a tenth of a millimetre."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.settings import BackendSettings
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model
from prehend.models.sima.hand import SIMA_LITE, build_sima_hand
from prehend.models.sima.views import KEPT, build_sima_views
from prehend_training.assets.mesh_pyramid import own_pyramid

SIZE = 64
TINY = replace(
    SIMA_LITE, size=SIZE, channels=(8, 8, 8, 8, 8), width=16, heads=2, head_width=8, narrow=8, orientation=(16,)
)


@pytest.mark.parametrize("enhanced", [True, False])
def test_the_student_is_its_export(tmp_path: Path, enhanced: bool) -> None:
    torch.manual_seed(0)
    network = build_sima_hand(replace(TINY, enhanced=enhanced)).eval()
    network.set_hand(load_hand_model(), own_pyramid())
    bundle = save_bundle(network, tmp_path / "sima", "sima-s", {"licence": "none"}, dtype="float32")
    assert list(bundle.stages) == ["reconstruct"]
    image = np.random.default_rng(0).random((3, 3, SIZE, SIZE), np.float32)
    said = OnnxBackend(bundle, BackendSettings(threads=1)).infer("reconstruct", {"image": image})
    with torch.no_grad():
        meant = network.reconstruct(torch.from_numpy(image))
    for name in ("vertices", "joints"):
        assert np.linalg.norm(said[name] - getattr(meant, name).numpy(), axis=-1).max() < 1e-4, name
    np.testing.assert_allclose(said["rotation"], meant.rotation.numpy(), atol=1e-4)


def test_the_teacher_is_its_export_for_any_number_of_views(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_sima_views(replace(TINY, views=8, triangulates=True)).eval()
    network.set_hand(load_hand_model(), own_pyramid())
    bundle = save_bundle(network, tmp_path / "views", "sima-s-views", {"licence": "none"}, dtype="float32")
    backend, rng = OnnxBackend(bundle, BackendSettings(threads=1)), np.random.default_rng(0)
    told = backend.infer("encode", {"image": rng.random((8, 3, SIZE, SIZE), np.float32)})
    inputs = {f"views_{name}": told[name][None].copy() for name in KEPT}
    inputs["views_known"] = np.array([[1, 1, 1, 0, 0, 0, 0, 0]], np.float32)
    turn = np.linalg.qr(rng.normal(size=(1, 8, 3, 3)))[0].astype(np.float32)
    inputs["views_turn"] = turn * np.linalg.det(turn)[..., None, None]
    inputs["views_center"] = rng.normal(size=(1, 8, 3)).astype(np.float32)
    inputs["views_ray"] = np.broadcast_to(np.eye(3, dtype=np.float32), (1, 8, 3, 3)).copy()
    said = backend.infer("fuse", inputs)
    with torch.no_grad():
        meant = network.fuse(*map(torch.from_numpy, inputs.values()))
    assert np.linalg.norm(said["vertices"] - meant.vertices.numpy(), axis=-1).max() < 1e-4
    np.testing.assert_allclose(said["rotation"][:, :3], meant.rotation.numpy()[:, :3], atol=1e-4)
    assert said["shares"][0, 3:].max() < 1e-6
