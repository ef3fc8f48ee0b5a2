"""What an estimator can be told: one set of options for the commands, the node and Python."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from prehend.backends.settings import BackendSettings
from prehend.errors import ParameterError, UnknownName
from prehend.geometry.camera import DEFAULT_FOV_DEG
from prehend.pipeline.frames.handedness import HandednessConfig
from prehend.pipeline.frames.memory import MemoryOptions
from prehend.pipeline.smoothing.grasp import GraspConfig
from prehend.pipeline.smoothing.smooth import SMOOTHERS, SmoothConfig

KEEP_SHARE = 2 / 3
"""A hand that is followed is kept down to this share of the score that it needs to begin."""

MOST_LAG_S = 1.0
"""Longest time that results may be held back: images wait in memory meanwhile [s]."""

LOST, OPERATORS = ("drop", "fade", "hold"), ("longest", "largest", "off")
"""Choices of the options `lost` and `operator`."""

GRASP_EVENTS = ("at_once", "moved")
"""Choices of the option `grasp_events`."""

MOST_HYPOTHESES, LONGEST_BUDGET_MS = 64, 1000.0

LIVE = (
    "object_id", "max_hands", "min_score", "find_interval_s", "keep_lost_s", "lost", "operator",
    "smooth_min_cutoff_hz", "smooth_beta",
)  # fmt: skip
"""Options that may change between two images (`Estimator.change`)."""


def _is_truth(value: object) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == value  # NaN is none


_KINDS: dict[Any, tuple[Callable[[object], bool], str]] = {
    bool: (_is_truth, "True or False"),
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a number"),
    float | None: (lambda value: value is None or _is_number(value), "a number or None"),
}
"""By the annotation of an option: whether a value is of that kind, and the kind for a person."""


def _text(text: str) -> dict[str, str]:
    """What an option means; the help of the commands and the node's parameters say the same."""
    return {"text": text}


@dataclass(frozen=True)
class EstimatorOptions:
    """All that `load_estimator` and `Estimator` can be told; `option_text` says what each one means.

    Three numbers between 0 and 1 have one name each: `presence` is what the network says of a crop (the probability
    that it shows a hand), `score` the same number once it belongs to a hand, and `min_score` the lowest one of a hand
    that is given out.

    Raises:
        ParameterError: a value is of another kind than its annotation says (NumPy's numbers are welcome, NaN and a
            truth value in place of a number are not), out of range, or two contradict each other.
    """

    model: str | Path = field(default="unihope-s", metadata=_text("name or folder of the hand network's weights"))
    detector: str | Path = field(default="palm", metadata=_text("name or folder of the hand detector's weights"))
    backend: str = field(default="onnx", metadata=_text("what runs the network"))
    provider: str = field(
        default="",
        metadata=_text(
            "what the backend runs on: cpu, cuda, tensorrt or openvino for onnx, cpu or cuda for torch; empty for its "
            "first"
        ),
    )
    precision: str = field(
        default="float32", metadata=_text("numbers that the network runs in; others than float32 need an engine")
    )
    compiled: bool = field(default=False, metadata=_text("compile the network first; backend torch only"))
    engine_policy: str = field(
        default="require",
        metadata=_text(
            "where it cannot run as asked: require fails and says why, build makes the engine that is missing or does "
            "not fit, fallback lets backend onnx on the processor answer and says so"
        ),
    )
    engine_dir: str | Path = field(
        default="", metadata=_text("folder of the engines of prehend export; empty for the one in the cache folder")
    )
    threads: int = field(default=0, metadata=_text("threads of the backend; 0 lets it choose"))
    hand_model: str | Path | None = field(
        default=None, metadata=_text("file of a hand model (.npz, or a licensed MANO .pkl); empty for the shipped one")
    )
    object_id: str | Sequence[str] = field(
        default=(),
        metadata=_text(
            "names in the object catalogue of what may be held, separated by commas; empty: a box of estimated size"
        ),
    )
    object_folder: Path | None = field(
        default=None, metadata=_text("folder of the object catalogue; None for the shipped one and one's own")
    )
    tracking: bool = field(
        default=True, metadata=_text("follow hands from frame to frame; False takes every image on its own")
    )
    max_hands: int = field(default=4, metadata=_text("hands that are followed at the same time"))
    min_score: float = field(
        default=0.3,
        metadata=_text(
            "score from which a new hand is followed and published; one that is followed is kept down to 2/3 of it"
        ),
    )
    keep_score: float | None = field(
        default=None, metadata=_text("lowest score of a hand that is followed; None for 2/3 of `min_score`")
    )
    detector_score: float | None = field(
        default=None,
        metadata=_text(
            "lowest score of a new hand at the detector; None for what its weights say, chosen on photographs"
        ),
    )
    detector_keep_score: float | None = field(
        default=None, metadata=_text("the same where a hand is followed already; None for half of `detector_score`")
    )
    max_fit_error: float = field(
        default=0.25,
        metadata=_text(
            "largest distance (rms) of projected joints and keypoints, in units of the longer side of the hand's box; "
            "answers that disagree more with themselves are dropped"
        ),
    )
    fov_deg: float = field(
        default=DEFAULT_FOV_DEG, metadata=_text("field of view across the longer side of images without a camera [deg]")
    )
    find_interval_s: float = field(
        default=0.33, metadata=_text("time between two looks of the hand detector while hands are followed [s]")
    )
    detector_beside: bool = field(
        default=False,
        metadata=_text(
            "while hands are followed the detector looks in a thread of its own, and its answer counts one image later"
        ),
    )
    keep_lost_s: float = field(
        default=0.5,
        metadata=_text(
            "a hand out of sight that comes back within this time keeps its number; more than 1 s without any "
            "image (`max_gap_s`) gives it up earlier [s]"
        ),
    )
    lost: str = field(
        default="drop",
        metadata=_text(
            "a hand out of sight that is waited for: drop leaves it out, hold gives it out as it was last seen, "
            "marked, fade does, too, with scores that fall to 0 until it is given up"
        ),
    )
    operator: str = field(
        default="longest",
        metadata=_text("which hand of a side is the operator's: the one seen longest, the largest, or off for none"),
    )
    temporal_frames: int = field(
        default=1,
        metadata=_text(
            "frames of a hand that the network draws on; 1: this one alone; 5: four older ones, too, for steadier "
            "wrists and hidden fingers in films; 0: as many as the weights look at"
        ),
    )
    temporal_stride_s: float = field(default=0.167, metadata=_text("time between these frames [s]"))
    hypotheses: int = field(
        default=0,
        metadata=_text(
            "hands that an answer with hidden or unsure joints may mean, and that give covariances of its joints; 0: "
            "none, else 2 or more"
        ),
    )
    hypothesis_budget_ms: float = field(
        default=8.0,
        metadata=_text(
            "time that hypotheses may take of an image; they grow over several, and images on their own take what they "
            "need [ms]"
        ),
    )
    max_gap_s: float = field(
        default=1.0,
        metadata=_text("time without a frame after which all hands are given up, whatever `keep_lost_s` says [s]"),
    )
    smooth_min_cutoff_hz: float = field(
        default=0.0,
        metadata=_text("cutoff of the smoothing for a hand at rest, up to 30, lower is steadier; 0: no smoothing [Hz]"),
    )
    smoother: str = field(
        default="one-euro",
        metadata=_text("filter that smooths: one-euro, or kalman, which knows speeds and how sure the network is"),
    )
    smooth_beta: float = field(
        default=4.0,
        metadata=_text(
            "how much the cutoff rises with speed, higher is quicker; one-euro alone [Hz per hand length a second]"
        ),
    )
    temporal_lag_s: float = field(
        default=0.0,
        metadata=_text(
            "results are held back for this long and smoothed by what later images say, for recordings; 0: at once. "
            "Commands and node do that; in Python `estimate` answers at once and smooths nothing then, and "
            "`prehend.pipeline.lag.FixedLag` holds back and smooths what it says [s]"
        ),
    )
    grasp: GraspConfig = field(default_factory=GraspConfig, metadata=_text("when a grasp begins and ends"))
    grasp_events: str = field(
        default="at_once",
        metadata=_text(
            "when grasps and releases are told as events: at_once, as soon as frames agree, or moved, 0.6 s late or "
            "more and dated to when the object begins to move with the hand, with few false ones"
        ),
    )
    handedness: HandednessConfig = field(
        default_factory=HandednessConfig, metadata=_text("how evidence about left and right is added up")
    )

    def __post_init__(self) -> None:
        self._check_kinds()
        if isinstance(self.object_id, str):
            names = tuple(name.strip() for name in self.object_id.split(",") if name.strip())
            object.__setattr__(self, "object_id", names)
        object.__setattr__(self, "hand_model", self.hand_model or None)
        for start, keep in (("min_score", "keep_score"), ("detector_score", "detector_keep_score")):
            low, high = getattr(self, keep), getattr(self, start)
            for name, value in ((start, high), (keep, low)):
                if value is not None and not 0 < value < 1:
                    raise ParameterError(f"{name} is {value}, expected a number between 0 and 1")
            if low is not None and high is not None and low > high:
                raise ParameterError(f"{keep} {low:g} is above {start} {high:g}")
        chosen = (("lost", LOST), ("operator", OPERATORS), ("smoother", SMOOTHERS), ("grasp_events", GRASP_EVENTS))
        for name, choices in chosen:
            if getattr(self, name) not in choices:
                raise ParameterError(f"{name} is {getattr(self, name)!r}, expected {', '.join(choices)}")
        for name in ("max_hands", "max_fit_error", "find_interval_s", "keep_lost_s", "max_gap_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, expected a positive number")
        if not 0 < self.fov_deg < 180:
            raise ParameterError(f"fov_deg is {self.fov_deg}, expected a number between 0 and 180")
        if self.hypotheses != 0 and not 2 <= self.hypotheses <= MOST_HYPOTHESES:
            raise ParameterError(
                f"hypotheses is {self.hypotheses}, expected 0 for none, or 2 to {MOST_HYPOTHESES}: one has no spread"
            )
        if not 0 < self.hypothesis_budget_ms <= LONGEST_BUDGET_MS:
            raise ParameterError(
                f"hypothesis_budget_ms is {self.hypothesis_budget_ms}, expected above 0 and up to {LONGEST_BUDGET_MS:g}"
            )
        _ = self.smooth, self.settings, self.memory  # they check their own numbers
        self._check_lag()

    def _check_kinds(self) -> None:
        for one in fields(self):
            is_kind, kind = _KINDS.get(one.type, (None, ""))
            value = getattr(self, one.name)
            if is_kind is not None and not is_kind(value):
                raise ParameterError(f"{one.name} is {' '.join(repr(value).split())}, expected {kind}")
            if isinstance(value, np.generic):  # backends and files take Python's own
                object.__setattr__(self, one.name, value.item())

    def _check_lag(self) -> None:
        lag = self.temporal_lag_s
        if not 0 <= lag <= MOST_LAG_S:
            raise ParameterError(f"temporal_lag_s is {lag}, expected 0 to {MOST_LAG_S:g}")
        if lag and not (self.smooth_min_cutoff_hz and self.tracking):
            raise ParameterError(
                f"temporal_lag_s {lag:g} smooths hands that are followed: it needs tracking, and smooth_min_cutoff_hz "
                "above 0"
            )

    @property
    def object_ids(self) -> tuple[str, ...]:
        """`object_id` as names."""
        return tuple(self.object_id)

    @property
    def lowest_kept(self) -> float:
        """Lowest score of a hand that is followed."""
        return KEEP_SHARE * self.min_score if self.keep_score is None else self.keep_score

    @property
    def settings(self) -> BackendSettings:
        """What the backends are told."""
        return BackendSettings(
            threads=self.threads,
            provider=self.provider,
            precision=self.precision,
            compiled=self.compiled,
            engine_policy=self.engine_policy,
            engine_dir=Path(self.engine_dir) if self.engine_dir else None,
        )

    @property
    def memory(self) -> MemoryOptions:
        """What of a hand's past is remembered."""
        if self.temporal_frames < 0:
            raise ParameterError(f"temporal_frames is {self.temporal_frames}, expected 0 or more")
        if self.temporal_frames == 0:
            return MemoryOptions.reaching_back(self.temporal_stride_s)
        return MemoryOptions(frames=self.temporal_frames, stride_s=self.temporal_stride_s)

    @property
    def smooth(self) -> SmoothConfig:
        """How results are smoothed; without effect with `tracking` off."""
        return SmoothConfig(self.smooth_min_cutoff_hz, self.smooth_beta, self.smoother)

    @property
    def smooth_at_once(self) -> SmoothConfig:
        """What the estimator itself smooths: nothing where later images are waited for (`lag.FixedLag`)."""
        return replace(self.smooth, min_cutoff_hz=0.0) if self.temporal_lag_s else self.smooth


def option_text(name: str) -> str:
    """What an option means, in one sentence with its unit."""
    return next(str(one.metadata["text"]) for one in fields(EstimatorOptions) if one.name == name)


def option_default(name: str) -> Any:
    """What an option is where nobody says otherwise."""
    return next(one.default for one in fields(EstimatorOptions) if one.name == name)


def changed(options: EstimatorOptions, **changes: Any) -> EstimatorOptions:
    """The same options with others in place of some.

    Raises:
        UnknownName: there is no option of that name.
        ParameterError: a value is out of range.
    """
    names = [one.name for one in fields(EstimatorOptions)]
    for name in changes:
        if name not in names:
            raise UnknownName("option", name, names)
    return replace(options, **changes)


def check_live(now: EstimatorOptions, wanted: EstimatorOptions) -> None:
    """Raise `ParameterError` where an option differs that counts from the start."""
    for one in fields(EstimatorOptions):
        if one.name not in LIVE and getattr(now, one.name) != getattr(wanted, one.name):
            raise ParameterError(f"{one.name} counts from the start; while it runs these may change: {', '.join(LIVE)}")
