import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import hand_wheel
import numpy as np
import pytest

from prehend_training.assets import hand, hand_source
from prehend_training.assets.hand_source import HandSource


class Wheel(NamedTuple):
    """The file of a made-up body; its points [m], cubes and all; how many of them are of the arm."""

    path: Path
    points_m: Any
    arm: int


@pytest.fixture(scope="session")
def written_wheel(tmp_path_factory):
    path = tmp_path_factory.mktemp("wheel") / "anny.whl"
    points, arm = hand_wheel.write_wheel(path)
    return Wheel(path, 0.1 * points, arm)


@pytest.fixture(scope="module")
def wheel(written_wheel):
    """A small body in the place of the one that the shipped hand is built from; its checksum counts in this module."""
    digest = hashlib.sha256(written_wheel.path.read_bytes()).hexdigest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand_source, "WHEEL_SHA256", digest)
        yield written_wheel


@pytest.fixture(scope="module")
def source(wheel):
    return HandSource(wheel.path)


@pytest.fixture(scope="module")
def built(wheel):
    """Arrays of a whole hand of a few people and poses."""
    return hand.build(wheel.path, people=14, pose_count=60, seed=3)


@pytest.fixture(scope="module")
def built_file(built, tmp_path_factory):
    path = tmp_path_factory.mktemp("built") / "hand.npz"
    np.savez_compressed(path, **built)
    return path
