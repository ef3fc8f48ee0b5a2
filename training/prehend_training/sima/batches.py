"""Batches of several views of one moment, for SiMA-Hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from torch import Tensor

from prehend.conventions import MIRROR, SIDES
from prehend.types import FloatArray
from prehend_training.data.base import drawn_rows, joined
from prehend_training.data.batch import ArrayDict, MomentBatch
from prehend_training.data.crops import CropBatches
from prehend_training.data.hand_crops import draw_view, hand_crop
from prehend_training.data.pixels.draws import PhotometricConfig, draw_changes
from prehend_training.data.records import Record
from prehend_training.data.stores.datasets import MixedDataset
from prehend_training.data.views import (
    EXACT_VIEW,
    CropView,
    ViewConfig,
    crop_projection,
    mirror_left,
)
from prehend_training.sample import HAND_CODE, OBJECT_CODE
from prehend_training.sima.instants import HandInView, Instant, InstantDataset


@dataclass(frozen=True)
class MomentDataConfig:
    """How moments become training samples; what is not explained is as in `CropDataConfig`.

    Attributes:
        views: how many views of a moment a step may show; one of these numbers is drawn for all its moments.
    """

    size_px: int = 128
    views: tuple[int, ...] = (8,)
    view: ViewConfig = field(default_factory=ViewConfig)
    photometric: PhotometricConfig | None = field(default_factory=PhotometricConfig)
    smear_p: float = 0.6


def exact_moments(config: MomentDataConfig, views: int) -> MomentDataConfig:
    """The same without any change, with true boxes and so many views: for measuring."""
    view = replace(EXACT_VIEW, upright=config.view.upright)
    return replace(config, views=(views,), view=view, photometric=None, smear_p=0.0)


def shown_unchanged(size_px: int, trunk: str, views: int) -> MomentDataConfig:
    """What a network of SiMA-Hand of this size and trunk is shown of so many views where nothing is changed."""
    view = replace(EXACT_VIEW, upright=trunk == "hand")
    return exact_moments(MomentDataConfig(size_px=size_px, view=view), views)


@dataclass(frozen=True)
class MomentBatches:
    """Batches of moments for SiMA-Hand.

    Attributes:
        dataset: of moments, or a mixture of such.
        config: what is done to them.
        seed: with the step's number, decides everything.
        batch_size: images a step, as near as whole moments come to it.
    """

    dataset: InstantDataset | MixedDataset
    config: MomentDataConfig
    seed: int
    batch_size: int

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> ArrayDict:
        """Rows [N k, N (k + 1)) are the N views of moment k; see `sample` for the arrays."""
        views = self.config.views
        count = views[int(np.random.default_rng([self.seed, step]).integers(len(views)))]
        rows = drawn_rows(self.dataset, self.seed, step, max(self.batch_size // count, part[1]), part)
        return joined([self.sample(index, count, rng) for index, rng in rows])

    def sample(self, index: int, count: int, rng: np.random.Generator) -> ArrayDict:
        """Views of one moment, drawn of those that show the hand, in any order.

        Returns:
            ArrayDict of `count` views, see `MomentBatch`; those that are not there repeat the first one.
        """
        moment = self.dataset[index]
        assert isinstance(moment, Instant)
        seen = moment.seen()
        order = rng.permutation(len(seen))[:count]
        return self.views_of([seen[int(k)] for k in order], count, rng)

    def views_of(self, seen: Sequence[HandInView], count: int, rng: np.random.Generator) -> ArrayDict:
        """Arrays of `count` views; those that are not there repeat the first one."""
        views = [self._view(hand, rng) | {"known": np.float32(1)[...]} for hand in seen]
        views += [views[0] | {"known": np.float32(0)[...]}] * (count - len(views))
        leads = (np.arange(count) == 0).astype(np.float32)
        return {name: np.stack([view[name] for view in views]) for name in views[0]} | {"leads": leads}

    def _view(self, hand: HandInView, rng: np.random.Generator) -> ArrayDict:
        config = self.config
        record, T = mirrored(hand)
        px = config.size_px
        view = draw_view(record, config.view, px, rng)
        smear = bool(rng.random() < config.smear_p)
        changes = None if config.photometric is None else draw_changes(config.photometric, (px, px), rng)
        return hand_crop(record, view, smear, changes) | rig_arrays(record, view, T, px)


TEACHER = "teacher_"
"""Start of the names of arrays that a teacher is shown."""
_SHOWN = ("image", "turn", "center", "ray")


@dataclass(frozen=True)
class CropMoments(MomentBatches):
    """The same views as crops of a crop network, see `TaughtBatch`.

    Attributes:
        config: how many views, and what the teacher is shown of them.
        crops: makes the crop network's own of each.
        teaches: whether there is a teacher; the crops are the same without.
    """

    crops: CropBatches
    teaches: bool

    def _view(self, hand: HandInView, rng: np.random.Generator) -> ArrayDict:
        sample = self.crops.sample_of(_alone(hand.record), rng)
        if not self.teaches:
            return sample
        shown = super()._view(hand, np.random.default_rng(0))  # unchanged: nothing that is drawn counts
        return sample | {TEACHER + name: shown[name] for name in _SHOWN}


def of_teacher(batch: Mapping[str, Tensor]) -> MomentBatch:
    """What the teacher is shown of a `TaughtBatch`."""
    shown = {name: batch[TEACHER + name] for name in _SHOWN}
    return cast(MomentBatch, shown | {name: batch[name] for name in ("known", "leads")})


def _alone(record: Record) -> Record:
    """A record that says that beside the hand may be another one, where it shows some."""
    numbers = record["segmentation"]
    others = bool(((numbers > HAND_CODE) & (numbers < OBJECT_CODE)).any())
    return record | {"has_beside": np.array(bool(record["has_beside"]) and not others)}


def mirrored(hand: HandInView) -> tuple[Record, FloatArray]:
    """A left hand as a right one in a mirrored world: the image around it, and its camera's (4, 4) T_camera_world."""
    T = hand.T_camera_world
    if SIDES[int(hand.record["side"][0])] == "left":
        mirror = np.diag([*np.diag(MIRROR), 1.0])
        T = mirror @ T @ mirror
    return mirror_left(hand.record), T


def rig_arrays(record: Record, view: CropView, T_camera_world: FloatArray, size_px: int) -> ArrayDict:
    """Where the camera of a crop stands, see `prehend.models.sima.views.Rig`.

    Returns:
        turn: (3, 3) from the crop frame to the world. center: (3,) the camera's centre there [m]. ray: (3, 3) from
        (x, y, 1), places in [0, 1] of the crop, to a direction in the crop frame.
    """
    R, t = T_camera_world[:3, :3], T_camera_world[:3, 3]
    to_px = np.array([[size_px, 0, -0.5], [0, size_px, -0.5], [0, 0, 1]])
    return {
        "turn": (R.T @ view.R_crop_camera.T).astype(np.float32),
        "center": (-R.T @ t).astype(np.float32),
        "ray": (np.linalg.inv(crop_projection(record["K"], view)) @ to_px).astype(np.float32),
    }
