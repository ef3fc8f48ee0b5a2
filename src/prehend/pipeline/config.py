"""What an `Estimator` can be told."""

from dataclasses import dataclass, field, replace

from prehend.errors import ParameterError
from prehend.geometry.camera import DEFAULT_FOV_DEG
from prehend.pipeline.grasp import GraspConfig
from prehend.pipeline.handedness import SideConfig
from prehend.pipeline.smooth import SmoothConfig
from prehend.pipeline.track import TrackConfig

KEEP_PRESENCE = 2 / 3
"""A hand that is followed is kept down to this share of the score that it needs to begin."""


@dataclass(frozen=True)
class EstimatorConfig:
    """What an `Estimator` can be told.

    Attributes:
        tracking: follow hands from frame to frame; False takes every picture on its own.
        track: how hands are followed.
        side: how sides are believed.
        grasp: when a grasp begins and ends; with `tracking` off, and in a first picture without a stamp, the more
            probable state is given at once.
        smooth: how results are smoothed; without effect with `tracking` off.
        find_threshold: lowest score of a hand the detector gives; None for what its weights say, which was chosen on
            photographs.
        keep_find_threshold: the same where a hand is followed already; None for half of it.
        presence: lowest score of a hand: the probability that its crop shows one (see `with_min_score`).
        keep_presence: the same for a hand that is already followed.
        max_fit_error: largest distance (rms) between projected joints and keypoints, in units of the longer side of
            the hand's box; answers that disagree more with themselves are dropped.
        fov_deg: field of view assumed for pictures without a camera [degrees].

    Raises:
        ParameterError: a value is out of range.
    """

    tracking: bool = True
    track: TrackConfig = field(default_factory=TrackConfig)
    side: SideConfig = field(default_factory=SideConfig)
    grasp: GraspConfig = field(default_factory=GraspConfig)
    smooth: SmoothConfig = field(default_factory=SmoothConfig)
    find_threshold: float | None = None
    keep_find_threshold: float | None = None
    presence: float = 0.3
    keep_presence: float = 0.2
    max_fit_error: float = 0.25
    fov_deg: float = DEFAULT_FOV_DEG

    def __post_init__(self) -> None:
        for name in ("find_threshold", "presence"):
            start, keep = getattr(self, name), getattr(self, f"keep_{name}")
            for label, value in ((name, start), (f"keep_{name}", keep)):
                if value is not None and not 0 < value < 1:
                    raise ParameterError(f"{label} is {value}, expected a number between 0 and 1")
            if None not in (start, keep) and keep > start:
                raise ParameterError(f"keep_{name} {keep:g} is above {name} {start:g}")
        if not self.max_fit_error > 0:
            raise ParameterError(f"max_fit_error is {self.max_fit_error}, expected a positive number")
        if not 0 < self.fov_deg < 180:
            raise ParameterError(f"fov_deg is {self.fov_deg}, expected a number between 0 and 180")

    def with_min_score(self, min_score: float) -> "EstimatorConfig":
        """The same with another lowest score of hands: what `--min-score` and the node's `min_score` mean.

        A hand begins with this score; one that is followed is shown down to `KEEP_PRESENCE` of it, so that it does
        not flicker.

        Raises:
            ParameterError: not between 0 and 1.
        """
        return replace(self, presence=min_score, keep_presence=KEEP_PRESENCE * min_score)
