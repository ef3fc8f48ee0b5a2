"""A source and an estimator that answer at once, and a browser for the tests that look at the page."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prehend.hand_model import load_hand_model
from prehend.io.frames import Frame, Source
from prehend.view.controls import Controls
from prehend.view.feed import Feed
from prehend.view.packets import constants
from prehend.view.seen import HeldBoxes, Seen


class Clip(Source):
    """Frames of 64 x 48 pixels, at a rate."""

    kind = "video"

    def __init__(self, count=5, fps=1000.0, live=False, on_error=None):
        super().__init__("clip", on_error)
        self.count, self.fps = count, fps
        if live:
            self.kind = "camera"

    def __iter__(self):
        for index in range(self.count):
            yield Frame(np.full((48, 64, 3), 10 * index % 250, np.uint8), "clip", index, index / self.fps)

    def close(self):
        pass


class Still:
    """An estimator that always sees the same."""

    def __init__(self, result):
        self.result, self.asked, self.resets = result, [], 0
        self.hand_models = {side: load_hand_model(side=side) for side in ("left", "right")}
        self.bundle = SimpleNamespace(name="still")

    def estimate(self, image, camera=None, stamp=None, boxes=None):
        self.asked.append((camera, stamp))
        return self.result

    def reset(self):
        self.resets += 1


@pytest.fixture
def clip():
    return Clip


@pytest.fixture
def result(make_result):
    """A left hand, and a right one that holds a box."""
    return make_result(64, 48, {"side": "left", "wrist_m": (-0.1, 0.05, 0.5)}, {"side": "right"}, holds=True)


@pytest.fixture
def estimator(result):
    return Still(result)


@pytest.fixture
def make_seen(result):
    def make(number=1, **changes):
        frame = Frame(np.full((48, 64, 3), 90, np.uint8), "clip", number - 1, number / 30)
        return Seen(number, number / 30, frame, changes.get("result", result))

    return make


@pytest.fixture(scope="session")
def browsers():
    """The module browser.py."""
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def browser(browsers, tmp_path):
    program = browsers.find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine")
    with browsers.Browser(program, tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def controls():
    return Controls()


@pytest.fixture
def feed(faces):
    return Feed({"source": "clip", "live": False, "model": "toy", **constants(faces)}, HeldBoxes({}))
