"""Frames in, results out: find, follow, crop, infer, decode."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from prehend.backends.base import Backend
from prehend.check import check_image
from prehend.conventions import SIDES, Side
from prehend.errors import InvalidInput, ParameterError, UnknownName
from prehend.geometry.camera import DEFAULT_FOV_DEG, check_distortion, estimated_camera, scale_camera
from prehend.hand_model.asset import HandModel, load_hand_model
from prehend.pipeline.crop import Crop, CropSpec, check_box, cut
from prehend.pipeline.decode import BOX_SCORE, DecodedHand, Rejected, decode_hand, decode_object
from prehend.pipeline.find import decode_hands, letterbox
from prehend.pipeline.grasp import GraspConfig, instant_grasp
from prehend.pipeline.network import Encoded, HandAnswer, HandNetwork, input_shape
from prehend.pipeline.objects import ObjectModel, find_object, load_objects
from prehend.pipeline.track import MIN_INSIDE, Track, TrackConfig, Tracker, inside_share
from prehend.types import Box, Camera, FoundHand, FrameResult, HandEstimate, ObjectEstimate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EstimatorConfig:
    """What an `Estimator` can be told.

    Attributes:
        tracking: follow hands from frame to frame; False takes every picture on its own.
        track: how hands are followed.
        grasp: when a grasp begins and ends; with `tracking` off the more probable state is given at once.
        find_threshold: lowest score of a hand the finder gives.
        presence: probability from which a crop is taken to show a hand.
        keep_presence: the same for a hand that is already followed.
        max_fit_error: largest distance (rms) between projected joints and keypoints, in units of the longer side of
            the hand's box; answers that disagree more with themselves are dropped.
        fov_deg: field of view assumed for pictures without a camera [degrees].

    Raises:
        ParameterError: a value is out of range.
    """

    tracking: bool = True
    track: TrackConfig = field(default_factory=TrackConfig)
    grasp: GraspConfig = field(default_factory=GraspConfig)
    find_threshold: float = 0.3
    presence: float = 0.5
    keep_presence: float = 0.3
    max_fit_error: float = 0.25
    fov_deg: float = DEFAULT_FOV_DEG

    def __post_init__(self) -> None:
        for name in ("find_threshold", "presence", "keep_presence"):
            if not 0 < getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected a number between 0 and 1")
        if self.keep_presence > self.presence:
            raise ParameterError(f"keep_presence {self.keep_presence:g} is above presence {self.presence:g}")
        if not self.max_fit_error > 0:
            raise ParameterError(f"max_fit_error is {self.max_fit_error}, expected a positive number")
        if not 0 < self.fov_deg < 180:
            raise ParameterError(f"fov_deg is {self.fov_deg}, expected a number between 0 and 180")
