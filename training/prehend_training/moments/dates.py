"""Training of the network that dates grasps (`grasp-dates`), on the last seconds of hands of rendered films."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prehend.models.hand_object.grasp_dates import GRASP_DATES, GraspDates, build_grasp_dates
from prehend.types import FloatArray
from prehend_training.moments.steps import take_steps

Windows = NDArray[np.float32]
"""(N, 9, T) of `grasp_moments.moment_windows`."""

_ODDS, _MOVED, _SPEED, _WAY = 0, slice(1, 3), 5, slice(7, 9)
"""Signals of a window."""

_AT_REST = float(np.log(0.03) + 2)
_AT_ONCE = 1024


class DatedMoments(NamedTuple):
    """Moments of one hand.

    Attributes:
        windows: (N, 9, T). asked: (N, 3) float32, 1 where a grasp begins, where one ends, where something is held, 0
            where not; NaN where that is not asked.
    """

    windows: Windows
    asked: NDArray[np.float32]


@dataclass(frozen=True)
class DateTraining:
    """How it is trained.

    Attributes:
        steps: of AdamW. lr, weight_decay: of it; the rate rises and falls in one cycle.
        batch_size: moments a step. changes: how many of them are such at which a grasp begins or ends.
        odds_std: by how much frames of a window are off together, in each of the three log-odds.
        noise: of each number.
        cut_p: probability that nothing is known before some time of the window, as of a hand that has just come into
            view: rendered films begin a second or so before the hand grasps.
        blind_p: probability that no images tell what moves with the hand.
        seed: of weights and draws.
    """

    steps: int = 4000
    lr: float = 2e-3
    weight_decay: float = 0.05
    batch_size: int = 128
    changes: int = 32
    odds_std: float = 0.25
    noise: float = 0.05
    cut_p: float = 0.5
    blind_p: float = 0.2
    seed: int = 0


def train_dates(
    hands: Sequence[DatedMoments], training: DateTraining, stepped: Callable[[], object] = lambda: None
) -> GraspDates:
    """A network in evaluation mode.

    Args:
        hands: what to learn from; one moment at least.
        training: how.
        stepped: is called after each step.
    """
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    windows, asked = np.concatenate([one.windows for one in hands]), np.concatenate([one.asked for one in hands])
    changes = np.flatnonzero((asked[:, :2] == 1).any(1))
    network = build_grasp_dates(GRASP_DATES)

    def drawn() -> tuple[Tensor, Tensor]:
        rows = rng.integers(0, len(windows), training.batch_size)
        if len(changes):
            rows[: training.changes] = rng.choice(changes, training.changes)
        told = network(torch.from_numpy(varied(windows[rows], training, rng)))
        return torch.cat(told, 1), torch.from_numpy(asked[rows])

    take_steps(network, training.steps, training.lr, training.weight_decay, drawn, stepped)
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.bias[:2] -= torch.from_numpy(drawn_too_often(asked, training))
    return network.eval()


def drawn_too_often(asked: NDArray[np.float32], training: DateTraining) -> NDArray[np.float32]:
    """(2,) by how much log-odds of a beginning and of an end are higher among moments that are drawn than among all.

    Args:
        asked: (N, 3) of all moments, see `DatedMoments`. training: says how moments are drawn.
    """
    ones, known = asked[:, :2] == 1, ~np.isnan(asked[:, :2])
    changes = ones.any(1)
    if not changes.any():
        return np.zeros(2, np.float32)
    share = training.changes / training.batch_size

    def log_odds(yes: FloatArray, counts: FloatArray) -> FloatArray:
        odds = np.clip(yes / np.maximum(counts, 1e-9), 1e-6, 1 - 1e-6)
        return np.asarray(np.log(odds / (1 - odds)))

    drawn = [share * one[changes].mean(0) + (1 - share) * one.mean(0) for one in (ones, known)]
    return (log_odds(drawn[0], drawn[1]) - log_odds(ones.mean(0), known.mean(0))).astype(np.float32)


@torch.no_grad()
def date_answers(network: GraspDates, windows: Windows) -> FloatArray:
    """(N, 3) logits that a grasp begins, that it ends, that something is held."""
    parts = [windows[start : start + _AT_ONCE] for start in range(0, len(windows), _AT_ONCE)]
    told = [torch.cat(network(torch.from_numpy(part)), 1).numpy() for part in parts]
    return np.concatenate(told).astype(np.float64) if told else np.zeros((0, 3))


def without_images(windows: Windows) -> Windows:
    """(N, 9, T) windows of which no images tell what moves with the hand."""
    blind = windows.copy()
    blind[:, _MOVED] = 0
    return blind


def varied(windows: Windows, training: DateTraining, rng: np.random.Generator) -> Windows:
    """(N, 9, T) windows of hands that go in other directions, of frames that are less right, some with less past."""
    count, _, times = windows.shape
    x = windows.copy()
    x[:, :3] += rng.normal(0, training.odds_std, (count, 3, 1)).astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi, count)
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], np.float32)
    x[:, _WAY] = np.einsum("ijn,njt->nit", R, x[:, _WAY])
    x += rng.normal(0, training.noise, x.shape).astype(np.float32)
    known_since = np.where(rng.random(count) < training.cut_p, rng.integers(0, int(0.7 * times), count), 0)[:, None]
    time = np.arange(times)[None]
    x = np.take_along_axis(x, np.maximum(time, known_since)[:, None], 2)
    x[:, _SPEED] = np.where(time <= known_since, _AT_REST, x[:, _SPEED])
    x[rng.random(count) < training.blind_p, _MOVED] = 0
    return x
