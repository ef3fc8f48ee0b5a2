import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.conventions import MANO_PARENTS
from prehend.hand_model import HandModel, load_hand_model


@pytest.fixture(scope="session")
def hand() -> HandModel:
    return load_hand_model()


@pytest.fixture(scope="session")
def rich(hand: HandModel) -> HandModel:
    """Our hand with pose correctives everywhere and a wrist away from the origin, as MANO has it."""
    rng = np.random.default_rng(7)
    return replace(
        hand,
        v_template=hand.v_template + np.float32([0.09, 0.006, 0.007]),
        posedirs=rng.normal(0, 2e-3, hand.posedirs.shape).astype(np.float32),
    )


def _as_mano(model: HandModel) -> dict[str, object]:
    """The dict that a MANO file holds."""
    parents = np.array([2**32 - 1, *MANO_PARENTS[1:]], np.int64)
    return {
        "v_template": model.v_template.astype(np.float64),
        "f": model.faces.astype(np.uint32),
        "weights": model.weights.astype(np.float64),
        "shapedirs": model.shapedirs.astype(np.float64),
        "posedirs": model.posedirs.astype(np.float64),
        "J_regressor": model.J_regressor.astype(np.float64),
        "hands_mean": model.hands_mean.astype(np.float64),
        "hands_components": model.hands_components.astype(np.float64),
        "kintree_table": np.stack([parents, np.arange(16)]),
        "bs_style": "lbs",
    }


@pytest.fixture(scope="session")
def as_mano() -> Callable[[HandModel], dict[str, object]]:
    return _as_mano


@pytest.fixture
def write_mano(tmp_path: Path) -> Callable[..., Path]:
    def write(content: object, name: str = "model.pkl", protocol: int = 2) -> Path:
        content = _as_mano(content) if isinstance(content, HandModel) else content
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol))
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def random_axis_angles() -> Callable[..., np.ndarray]:
    def draw(rng: np.random.Generator, n: int, size: float = 0.7) -> np.ndarray:
        """(n, 16, 3) axis-angle; those of the wrist are anything."""
        vectors = rng.normal(0, size, (n, 16, 3))
        vectors[:, 0] *= 3
        return vectors

    return draw


@pytest.fixture(scope="session")
def to_matrices() -> Callable[[np.ndarray], np.ndarray]:
    def convert(vectors: np.ndarray) -> np.ndarray:
        """Rotation matrices (..., 3, 3) of axis-angle (..., 3)."""
        flat = vectors.reshape(-1, 3)
        return np.stack([cv2.Rodrigues(v)[0] for v in flat]).reshape(*vectors.shape, 3)

    return convert
