"""The example runs, and what it shows of a real estimate fits together."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prehend.adapters.joint_state import joint_angles, rotations_from_angles
from prehend.adapters.mano import mano_parameters, read_mano_parameters
from prehend.geometry.rotations import geodesic_angle
from prehend.hand_model import skin
from prehend.io.sources import open_source
from prehend.pipeline.load import load_estimator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "adapters.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, timeout=300)


def test_every_format_on_the_demo_clip(tmp_path):
    done = run("all", "--frames", "1", "--object", "mug", "--out", str(tmp_path / "out" / "hands.npz"))
    assert done.returncode == 0, done.stderr
    listed = run("--help").stdout
    modules = {p.stem for p in (ROOT / "src" / "prehend" / "adapters").glob("*.py")} - {"__init__", "frames"}
    for module in modules:
        name = module.replace("_", "-")
        assert f"hand #1: {name}\n" in done.stdout, name
        assert name in listed
    assert set(read_mano_parameters(tmp_path / "out" / "hands.npz").side) == {"left", "right"}


def test_no_hand_and_no_source(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 160, 3), 128, np.uint8))
    done = run("openxr", str(tmp_path / "grey.png"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no hand was found" in done.stderr
    done = run("openxr", str(tmp_path / "none.png"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_a_real_estimate_in_manos_parameters_and_in_angles():
    """The parameters give the estimate's own mesh; the 22 angles turn no joint by more than a few degrees."""
    with load_estimator() as estimator, open_source(str(EXAMPLE.parent / "hands.mp4")) as source:
        (frame,) = itertools.islice(source, 1)
        hands = estimator.estimate(frame.image_rgb).hands
        models = dict(estimator.hand_models)
    assert len(hands) == 2
    for hand in hands:
        model = models[hand.side]
        parameters = mano_parameters(hand.rotations, hand.betas, hand.joints_m[0], model)
        mesh = skin(model, parameters.rotations, parameters.betas, parameters.trans).vertices
        assert np.abs(mesh - hand.vertices_m).max() < 1e-4
        angles = joint_angles(hand.rotations, hand.side)
        back = rotations_from_angles(angles.names, angles.positions_rad, hand.rotations[0])
        assert np.degrees(geodesic_angle(back, hand.rotations)).max() < 12


def test_the_table_of_the_docs_names_every_adapter():
    text = (ROOT / "docs" / "ADAPTERS.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "prehend" / "adapters").glob("*.py"):
        if path.stem not in ("__init__", "frames"):
            assert f"`{path.stem}`" in text
            assert f"examples/adapters.py {path.stem.replace('_', '-')}" in text


@pytest.mark.parametrize("name", ["frames", "openxr", "joint_state"])
def test_numpy_alone(name):
    """An adapter brings no network, no ROS and no consumer's package along."""
    heavy = "('torch', 'rclpy', 'onnxruntime', 'cv2', 'lerobot', 'mediapipe')"
    code = f"import sys, prehend.adapters.{name}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
