"""Crops rendered with all cores for some minutes; what is there stays, and the same call goes on from it."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prehend.files import replace_text
from prehend_training.engine import EngineOptions
from prehend_training.engine.scenes import SHARD_UNITS, OpenMaker, SceneConfig, open_maker, write_scenes

_CAREFUL = 0.85
"""Share of the time left that a round is planned to take, from the speed so far."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendering:
    """A folder of crops to fill.

    Attributes:
        out: the folder; it also keeps how long was rendered, in rendering.json.
        config: which crops.
        count: most crops.
        minutes: most time, over all calls.
        workers: processes.
        shard_units: crops a shard.
        make: what renders, importable from its module.
    """

    out: Path
    config: SceneConfig
    count: int
    minutes: float
    workers: int
    shard_units: int = SHARD_UNITS["crops"]
    make: OpenMaker = field(default=open_maker, repr=False)

    @property
    def seconds(self) -> float:
        """Time that earlier calls rendered."""
        note = self.out / "rendering.json"
        return float(json.loads(note.read_text())["seconds"]) if note.exists() else 0.0

    @property
    def indexed(self) -> int:
        """Crops in the folder's index, 0 where there is none."""
        index = self.out / "index.json"
        if not index.exists():
            return 0
        return sum(note["units"] for note in json.loads(index.read_text())["shards"].values())

    @property
    def done(self) -> bool:
        """Whether the crops or the minutes are used up, and something is there."""
        there = self.indexed
        return there >= self.count or (there > 0 and self.seconds >= 60 * self.minutes)


def render(rendering: Rendering, until_s: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """Render in rounds of whole shards, each as long as the speed so far lets expect.

    Args:
        rendering: what to render.
        until_s: reading of `clock` before which this call should end; a round that takes longer than expected ends
            after it.
        clock: seconds.

    Returns:
        Whether the folder is done; if not, the same call goes on.

    Raises:
        InvalidInput: the folder holds something else.
        EngineError: rendering failed.
    """
    while not rendering.done:
        seconds, there = rendering.seconds, rendering.indexed
        left_s = min(60 * rendering.minutes - seconds, until_s - clock())
        more = _round(rendering, there, seconds, left_s)
        if not more:
            # the rest of the time is too short for another shard
            used_up = there > 0 and 60 * rendering.minutes - seconds <= until_s - clock()
            if used_up:
                _note(rendering, 60 * rendering.minutes)
            return used_up
        began = clock()
        write_scenes(
            rendering.out,
            rendering.config,
            min(there + more, rendering.count),
            EngineOptions(workers=rendering.workers),
            rendering.shard_units,
            rendering.make,
        )
        _note(rendering, seconds + clock() - began)
        speed = (rendering.indexed - there) / max(clock() - began, 1e-9)
        logger.info("%d crops in %s, %.1f a second", rendering.indexed, rendering.out, speed)
    return True


def _round(rendering: Rendering, there: int, seconds: float, left_s: float) -> int:
    """Crops of the next round: first a shard for every worker, which tells the speed."""
    if left_s <= 0:
        return 0
    if not there or not seconds:
        return max(rendering.workers, 1) * rendering.shard_units
    shards = int(_CAREFUL * left_s * there / seconds / rendering.shard_units)
    # every worker has the same number of shards, so that all end together
    together = max(rendering.workers, 1)
    return (shards // together * together if shards >= together else 0) * rendering.shard_units


def _note(rendering: Rendering, seconds: float) -> None:
    replace_text(rendering.out / "rendering.json", json.dumps({"seconds": round(seconds, 1)}) + "\n")
