"""Windows of a network's answers as samples: a hand now, and the same hand one and two strides of time before."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prehend_training.data.base import drawn_rows
from prehend_training.data.batch import ArrayDict
from prehend_training.data.stores.windows import Strides, draw_offsets, rows_before
from prehend_training.fusion.answers import TOLD, TRUE, HandAnswers
from prehend_training.sample import Film

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class FusionDataConfig(Strides):
    """How windows are drawn.

    Attributes:
        weights: name or folder of the weights whose answers they consist of.
        draws: how often each image is cut, otherwise each time.
    """

    weights: str = "unihope-s"
    draws: int = 1


@dataclass(frozen=True)
class FusionWindows:
    """Batches of windows, drawn by (seed, step, row) alone; see `BatchSource`.

    Attributes:
        answers: what the network says of films.
        config: how windows are drawn.
        seed: with the step's number, decides everything.
        batch_size: windows a step.
        told: names of what the network says of a frame.
    """

    answers: HandAnswers
    config: Strides
    seed: int
    batch_size: int
    told: Sequence[str] = TOLD

    @cached_property
    def _places(self) -> tuple[list[Film], NDArray[np.int64]]:
        """Each hand's rows and times, and (N, 2) which hand's a row is and where in it."""
        hands = self.answers.hands()
        places = np.empty((len(self.answers), 2), np.int64)
        for number, rows in enumerate(hands):
            places[rows, 0], places[rows, 1] = number, np.arange(len(rows))
        times = self.answers.arrays["time_s"]
        return [Film(tuple(rows.tolist()), times[rows]) for rows in hands], places

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """ArrayDict of `window`."""
        rows = drawn_rows(self.answers, self.seed, step, self.batch_size, part)
        return self.window([self._drawn(row, rng) for row, rng in rows])

    def window(self, rows: Sequence[Sequence[int]] | Rows) -> ArrayDict:
        """The windows of (B, F) rows, -1 for a frame that is not there.

        Returns:
            window_<name>: (B, F, ...) of `told`, that of the current frame where one is not there; window_turn, _known
                as `pipeline.frames.memory.window_arrays` makes them; and `TRUE` of the current frame.
        """
        index = np.asarray(rows)
        known = index >= 0
        index = np.where(known, index, index[:, :1])
        arrays = self.answers.arrays
        turns = arrays["R_camera_crop"][index]
        return {
            **{f"window_{name}": np.asarray(arrays[name][index], np.float32) for name in self.told},
            "window_turn": np.swapaxes(turns[:, :1], -1, -2) @ turns,
            "window_known": known.astype(np.float32),
            **{name: arrays[f"true_{name}"][index[:, 0]] for name in TRUE},
        }

    def before(self, row: int, offsets_s: Sequence[float]) -> list[int]:
        """A row, and those of the same hand nearest to some times before it, -1 where there are none."""
        films, places = self._places
        hand, at = places[row]
        film = films[hand]
        older = rows_before(film, int(at), offsets_s)
        return [row, *(-1 if place is None else film.rows[place] for place in older)]

    def _drawn(self, row: int, rng: np.random.Generator) -> list[int]:
        offsets_s, kept = draw_offsets(self.config, rng)
        return [one if k < kept else -1 for k, one in enumerate(self.before(row, offsets_s))]
