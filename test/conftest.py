"""Results as the pipeline makes them, from the shipped hand model; and the lanes of the tests: `slow`, `unmeasured`,
`ros` and `render` are left out of `make quick`.

`make durations` measures tests into durations.json: as many of the shortest are quick as fit into `QUICK_S`.
"""

import importlib.util
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from durations import QUICK_S, longest_quick
from hypothesis import HealthCheck, settings

from prehend.conventions import NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS, Side
from prehend.geometry.camera import estimated_camera, project
from prehend.geometry.control_points import control_points
from prehend.hand_model import load_hand_model, skin
from prehend.types import Box, Camera, FrameResult, GraspEstimate, HandEstimate, ObjectEstimate

settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, *settings().suppress_health_check],
)
settings.register_profile("explore", settings.get_profile("suite"), derandomize=False)
settings.load_profile("suite")
"""The same examples every time, however slow the machine; `--hypothesis-profile=explore` draws others."""


@pytest.fixture
def unasked() -> Iterator[str]:
    """Address of a server on this machine, without its path; whoever asks it fails the test."""
    asked: list[object] = []
    ended = threading.Event()

    def listen() -> None:
        while not ended.is_set():  # who asks is let go at once, or it would wait for an answer
            connection, address = server.accept()
            connection.close()
            asked.append(address)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        with socket.create_connection(server.getsockname()) as last:
            thread.join()
            assert asked == [last.getsockname()]  # they are taken in their order


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Optimised graphs of tests do not go into the user's cache."""
    os.environ["PREHEND_CACHE"] = str(tmp_path_factory.mktemp("cache"))


DURATIONS_S: dict[str, float] = json.loads((Path(__file__).parent / "durations.json").read_text())
"""By file and function without folders, so that a test may move; of a function with all its parameters and fixtures."""

LEFT_OUT: set[str] = set()
"""Tests that were not run because they were never measured."""

LONGEST_QUICK_S = longest_quick(DURATIONS_S.values(), QUICK_S)

NEED_TORCH = ("backends", "export", "models", "prior", "training")
"""Folders, and files below, whose tests build networks: left out where the extra `torch` is not installed."""

if importlib.util.find_spec("torch") is None:
    files = ("cli/assets/test_export.py", "cli/assets/test_hand.py", "pipeline/networks/test_through_time.py")
    collect_ignore = [*NEED_TORCH, *files]

FIXTURES = {"domain": "ros", "renderer": "render"}
"""A process on DDS, an OpenGL context."""
EYE = np.tile(np.eye(3, dtype=np.float32), (NUM_MANO_JOINTS, 1, 1))
PALM_TO_CAMERA = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], np.float32)


def make_hand(
    camera: Camera, side: Side = "right", wrist_m: Any = (0, 0.05, 0.5), track_id: int = 1, **changes: Any
) -> HandEstimate:
    """An open hand, fingers up, its palm to the camera, with its wrist at a place [m]."""
    rotations = EYE.copy()
    rotations[0] = PALM_TO_CAMERA
    posed = skin(load_hand_model(side=side), rotations, np.zeros(NUM_BETAS, np.float32))
    move = np.asarray(wrist_m, np.float32) - posed.joints[0]
    keypoints = project(posed.joints + move, camera)
    fields: dict[str, Any] = {
        "track_id": track_id,
        "side": side,
        "score": 0.9,
        "box_px": Box.around(keypoints),
        "keypoints_px": keypoints,
        "joints_m": posed.joints + move,
        "vertices_m": posed.vertices + move,
        "rotations": rotations,
        "betas": np.zeros(NUM_BETAS),
        "visible": np.ones(NUM_JOINTS, bool),
        "grasp": GraspEstimate("grasping", 0.75),
    }
    return HandEstimate(**{**fields, **changes})


def make_object(camera: Camera, with_pose: bool = True) -> ObjectEstimate:
    """A box half a metre in front of the camera."""
    pose = np.eye(4)
    pose[:3, 3] = 0.05, 0, 0.5
    keypoints = project(control_points((0.08, 0.1, 0.06)) + pose[:3, 3], camera)
    return ObjectEstimate("box", 0.8, keypoints, Box.around(keypoints), pose if with_pose else None)


@pytest.fixture(scope="session")
def faces() -> dict[Side, Any]:
    return {"left": load_hand_model(side="left").faces, "right": load_hand_model(side="right").faces}


@pytest.fixture
def make_result() -> Callable[..., FrameResult]:
    """make_result(width, height, hand options...): one result; each option is a dict for `make_hand`."""

    def make(
        width: int, height: int, *hands: dict[str, Any], estimated: bool = False, holds: bool | None = None
    ) -> FrameResult:
        guess = estimated_camera(width, height)
        camera = Camera(guess.K, width, height, estimated=estimated)
        held = {} if holds is None else {"held_object": make_object(camera, holds)}
        made = tuple(make_hand(camera, track_id=number, **{**held, **hand}) for number, hand in enumerate(hands, 1))
        times = {"find": 1.0, "crop": 0.5, "infer": 3.0, "decode": 0.25, "total": 4.75}
        return FrameResult(camera, made, 12.5, times, True)

    return make


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test leaves to chance is the same each time, alone and after others: torch draws its first seed anew in
    every process."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the marks of its lane."""
    for item in items:
        name = f"{item.path.name}::{getattr(item, 'originalname', None) or item.name}"
        if name not in DURATIONS_S:
            item.add_marker(pytest.mark.unmeasured)
        elif DURATIONS_S[name] > LONGEST_QUICK_S:
            item.add_marker(pytest.mark.slow)
        for fixture, mark in FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember how many tests were left out because nobody has measured them."""
    for item in items:
        if item.get_closest_marker("unmeasured") and "unmeasured" in item.config.option.markexpr:
            LEFT_OUT.add(item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell it to the process that prints, where this is one of several."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = sorted(LEFT_OUT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear it from one of several processes."""
    LEFT_OUT.update(getattr(node, "workeroutput", {}).get("left_out", ()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many these were."""
    if LEFT_OUT:
        terminalreporter.write_line(
            f"{len(LEFT_OUT)} new tests were left out: make durations TEST_ARGS='-m unmeasured'"
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Name what failed once more, in the last lines: many hosts show a log's end, and one difference may fill that."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        for kind in ("failed", "error"):
            for report in reporter.stats.get(kind, []):
                reporter.write_line(f"{kind}: {report.nodeid}")
