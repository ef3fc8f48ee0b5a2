"""The node's parameters: declared once, checked without rclpy.

To add one: add a field here, its line in config/node.yaml and its row in docs/ROS.md (tests compare both).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from prehend.backends.settings import POLICIES, PRECISIONS, PROVIDERS
from prehend.errors import ParameterError, UnknownName
from prehend.pipeline.frames.memory import MemoryOptions, most_frames
from prehend.pipeline.frames.times import FRAME_S
from prehend.pipeline.options import (
    GRASP_EVENTS,
    LIVE,
    LONGEST_BUDGET_MS,
    LOST,
    MOST_HYPOTHESES,
    MOST_LAG_S,
    OPERATORS,
    EstimatorOptions,
    option_default,
    option_text,
)
from prehend.pipeline.smoothing.smooth import MOST_CUTOFF_HZ, SMOOTHERS

_LONGEST = 120
"""Characters of a value in an error."""

OUTPUTS = ("hands", "joint_states", "joint_poses", "detections", "hts")
"""What parameter `outputs` may name; hands are always published."""

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class ParameterSpec:
    """What one parameter may be.

    Attributes:
        text: one sentence for a person, with the unit.
        span: lowest and highest number, both included.
        choices: the texts that are allowed, empty for any.
        live: may be changed while the node runs.
    """

    text: str
    span: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def admits(self) -> str:
        """The allowed values, for a person."""
        if self.choices:
            return ", ".join(choice or "''" for choice in self.choices)
        return " to ".join(f"{end:g}" if end < 1e6 else f"{end:.0f}" for end in self.span) if self.span else ""

    def check(self, name: str, value: ParameterValue) -> None:
        """Raise `ParameterError` unless `value`, of the right type already, is allowed."""
        outside = self.span is not None and not self.span[0] <= value <= self.span[1]  # type: ignore[operator]
        if outside or (self.choices and value not in self.choices):
            raise ParameterError(f"parameter {name} is {_short(value)}, allowed: {self.admits()}")


def _parameter(default: Any, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"spec": ParameterSpec(text, **limits)})


def _option(name: str, default: Any = None, **limits: Any) -> Any:
    """A parameter that is the estimator's option of the same name: it says the same, and has its default."""
    limits.setdefault("live", name in LIVE)
    return _parameter(option_default(name) if default is None else default, option_text(name), **limits)


@dataclass(frozen=True)
class NodeParams:
    """All parameters of the node with their defaults; see each one's `ParameterSpec`.

    Raises:
        ParameterError: a value is out of range, or two contradict each other.
    """

    model: str = _option("model")
    detector: str = _option("detector")
    finder: str = _parameter("", "obsolete: the same as detector, which counts where this is empty")
    backend: str = _option("backend", choices=("onnx", "torch", "tensorrt"))
    provider: str = _option("provider", choices=PROVIDERS)
    precision: str = _option("precision", choices=PRECISIONS)
    compiled: bool = _option("compiled")
    engine_policy: str = _option("engine_policy", choices=POLICIES)
    engine_dir: str = _option("engine_dir")
    threads: int = _option("threads", span=(0, 64))
    hand_model: str = _option("hand_model", "")
    object_id: str = _option("object_id", "")
    max_hands: int = _option("max_hands", span=(1, 16))
    min_score: float = _option("min_score", span=(0.01, 0.99))
    find_interval_s: float = _option("find_interval_s", span=(0.01, 60.0))
    find_interval: int = _parameter(
        0, "obsolete: the same in images at 30 Hz; 0: find_interval_s counts", span=(0, 1000)
    )
    detector_beside: bool = _option("detector_beside", True)
    keep_lost_s: float = _option("keep_lost_s", span=(0.01, 5.0))
    lost: str = _option("lost", choices=LOST)
    operator: str = _option("operator", choices=OPERATORS)
    grasp_events: str = _option("grasp_events", choices=GRASP_EVENTS)
    temporal_frames: int = _option("temporal_frames", span=(0, 16))
    temporal_stride_s: float = _option("temporal_stride_s", span=(0.01, 1.0))
    hypotheses: int = _parameter(
        0, f"{option_text('hypotheses')}; made while somebody subscribes to ~/hypotheses", span=(0, MOST_HYPOTHESES)
    )
    hypothesis_budget_ms: float = _option("hypothesis_budget_ms", span=(0.1, LONGEST_BUDGET_MS))
    smooth_min_cutoff_hz: float = _option("smooth_min_cutoff_hz", 1.5, span=(0.0, MOST_CUTOFF_HZ))
    smoother: str = _option("smoother", choices=SMOOTHERS)
    smooth_beta: float = _option("smooth_beta", span=(0.0, 100.0))
    temporal_lag_s: float = _parameter(
        option_default("temporal_lag_s"),
        "results are held back for this long and smoothed by what later images say, for recordings; 0: at once [s]",
        span=(0.0, MOST_LAG_S),
    )
    image_transport: str = _parameter(
        "raw", "compressed subscribes to image_raw/compressed instead of image_raw", choices=("raw", "compressed")
    )
    image_reliability: str = _parameter(
        "best_effort", "reliability of the image subscription", choices=("best_effort", "reliable")
    )
    cameras: str = _parameter(
        "", "names of several cameras, as [front, left]: their images are /front/image_raw and so on; empty: one camera"
    )
    rig: bool = _parameter(False, "make one hand of all views of it: the cameras are calibrated against each other")
    rig_file: str = _parameter("", "file of the cameras' poses, see docs/CAMERAS.md; empty: /tf tells them")
    rig_frame: str = _parameter(
        "", "frame of the fused hands; empty: that of rig_file, or of the first camera where /tf tells the poses"
    )
    rig_sync: str = _parameter(
        "approximate",
        "images of one set: approximate, within rig_window_s; exact, of the same stamp",
        choices=("approximate", "exact"),
    )
    rig_window_s: float = _parameter(
        0.02, "largest difference of stamps between the first camera's image and another's [s]", span=(0.0, 1.0)
    )
    rig_wait_s: float = _parameter(0.1, "a set of images waits this long for one that is late [s]", span=(0.0, 2.0))
    depth_topic: str = _parameter(
        "",
        "depth images that are taken with the images, 16UC1 [mm] or 32FC1 [m]; a name that ends in /compressedDepth is "
        "of compressed ones; empty: none",
    )
    depth_info_topic: str = _parameter("", "calibration of the depth camera; empty: camera_info beside depth_topic")
    depth_alignment: str = _parameter(
        "auto",
        "how depth lies on the image: aligned, pixel on pixel; register, by calibration and /tf; auto, registered "
        "where its frame or size is another",
        choices=("auto", "aligned", "register"),
    )
    depth_max_apart_s: float = _parameter(
        0.02, "largest difference of stamps between an image and its depth [s]", span=(0.0, 1.0)
    )
    max_image_px: int = _parameter(
        64_000_000, "images of more pixels are refused before anything is decoded [px]", span=(1, 2**30)
    )
    mirrored_input: bool = _parameter(
        False, "the images are mirrored, as a selfie camera shows them: left and right hands are told apart by this"
    )
    frame_id: str = _parameter("", "frame of images whose header names none; empty: they have no transforms then")
    camera_info_timeout_s: float = _parameter(  # discovery repeats what got lost after 3 s only
        5.0, "images wait this long for the first camera_info [s]", span=(0.0, 60.0)
    )
    fov_deg: float = _parameter(
        60.0,
        "field of view across the longer side of an image without calibration [deg]; 0 assumes none: no metres then",
        span=(0.0, 170.0),
    )
    autostart: bool = _parameter(
        True, "load and take images at once; false waits for the lifecycle transitions configure and activate"
    )
    publish_mesh: bool = _parameter(True, "fill Hand.vertices_m", live=True)
    publish_tf: bool = _parameter(
        True, "publish wrists and held objects on /tf while the camera is calibrated", live=True
    )
    publish_finger_frames: bool = _parameter(
        False, "publish the finger joints of left_hand and right_hand on /tf, too; with publish_tf", live=True
    )
    publish_markers: str = _parameter(
        "skeleton",
        "what ~/markers shows while somebody subscribes; mesh costs about 15 ms a hand",
        choices=("off", "skeleton", "mesh"),
        live=True,
    )
    publish_overlay: bool = _parameter(
        True, "draw on the image for ~/overlay/compressed while somebody subscribes", live=True
    )
    outputs: str = _parameter(
        "hands", "what is published beside ~/hands, separated by commas: joint_states, joint_poses, detections, hts"
    )
    target_frame: str = _parameter(
        "", "frame that hands are told in, through /tf and /tf_static; empty: that of the images"
    )
    tf_prefix: str = _parameter("", "put before the names of TF frames, to tell several nodes apart")
    silent_after_s: float = _parameter(
        2.0, "diagnostics warn when no image came for this long [s]", span=(0.5, 60.0), live=True
    )

    def __post_init__(self) -> None:
        for name, spec in specs().items():
            spec.check(name, getattr(self, name))
        self.validate()

    def validate(self) -> None:
        """Check what one parameter alone cannot say; raises `ParameterError`."""
        if 0 < self.fov_deg < 10:
            raise ParameterError(f"parameter fov_deg is {self.fov_deg:g}, allowed: 0 (assume nothing) or 10 to 170")
        if self.tf_prefix and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_/]*", self.tf_prefix):
            raise ParameterError(f"parameter tf_prefix is {self.tf_prefix!r}: a TF frame cannot start like this")
        if self.find_interval and self.find_interval_s != option_default("find_interval_s"):
            raise ParameterError("find_interval and find_interval_s contradict each other: leave find_interval out")
        if self.publish_finger_frames and self.operator == "off":
            raise ParameterError(
                "publish_finger_frames is of the operator's hands: operator must be longest or largest"
            )
        unknown = set(self.chosen_outputs()) - set(OUTPUTS)
        if unknown:
            raise ParameterError(
                f"parameter outputs is {_short(self.outputs)}, allowed: {', '.join(OUTPUTS)}, separated by commas"
            )
        check_cameras(self)
        if self.hand_model and not _is_file(self.hand_model):
            raise ParameterError(f"parameter hand_model is {_short(self.hand_model)}: there is no such file")

    def chosen_outputs(self) -> tuple[str, ...]:
        """The names in `outputs`."""
        return tuple(name.strip() for name in self.outputs.strip("[] ").split(",") if name.strip())

    def camera_names(self) -> tuple[str, ...]:
        """The names in `cameras`; none for one camera."""
        return tuple(name.strip() for name in self.cameras.strip("[] ").split(",") if name.strip())

    def options(self) -> EstimatorOptions:
        """What the estimator is told: the parameters that are options of it, and those of old names.

        The field of view is not among them: the node gives every image its camera. Frames that reach back too far are
        as many as the weights look at: a robot's hands are worth more than their fusion.
        """
        shared = {entry.name for entry in fields(EstimatorOptions)} - {"fov_deg"}
        told = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name in shared}
        if self.finder and self.detector == option_default("detector"):
            told["detector"] = self.finder
        if self.find_interval:
            told["find_interval_s"] = self.find_interval * FRAME_S
        if self.temporal_frames > self._most_frames:
            told["temporal_frames"] = 0
        return EstimatorOptions(**told)

    @property
    def _most_frames(self) -> int:
        """How many frames reach back no farther than is remembered, whatever the weights look at."""
        return most_frames(self.temporal_stride_s, MemoryOptions.horizon_s)

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the parameters: old names, and a number that the node does not go by."""
        if self.temporal_frames <= self._most_frames:
            return self.obsolete()
        fewer = (
            f"parameter temporal_frames is {self.temporal_frames}, and at temporal_stride_s {self.temporal_stride_s:g} "
            f"{self._most_frames} reach back as far as is remembered, "
            f"{MemoryOptions.horizon_s:g} s: the node goes on with as many of these as the weights look at"
        )
        return (*self.obsolete(), fewer)

    def obsolete(self) -> tuple[str, ...]:
        """What a person should know about parameters of old names that were given."""
        renamed = (("finder", "detector"), ("find_interval", "find_interval_s, in seconds"))
        return tuple(
            f"parameter {old} goes with the next version: it is {new} now" for old, new in renamed if getattr(self, old)
        )

    def updated(self, values: Mapping[str, Any]) -> "NodeParams":
        """A copy with `values` in place of some parameters.

        Whole numbers become floats where a float is wanted (`-p fov_deg:=60`), and false becomes "off" where that is a
        choice: YAML, which `-p operator:=off` is read as, takes the word for false. Nothing else is converted.

        Raises:
            ParameterError: an unknown name, a value of another type, or one that is not allowed.
        """
        kinds = {entry.name: type(entry.default) for entry in fields(self)}
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if name not in kinds:
                raise ParameterError(str(UnknownName("parameter", name, kinds)))
            if kinds[name] is float and type(value) is int:
                value = _as_float(name, value)
            if value is False and "off" in specs()[name].choices:
                value = "off"
            if kinds[name] is str and isinstance(value, (list, tuple)) and all(type(one) is str for one in value):
                value = ", ".join(value)  # names in a list, as a params file has them
            if type(value) is not kinds[name]:
                raise ParameterError(f"parameter {name} is {_short(value)}, expected a {kinds[name].__name__}")
            changes[name] = value
        return replace(self, **changes)


def check_cameras(params: NodeParams) -> None:
    """Raise `ParameterError` unless what is said of several cameras fits together."""
    names = params.camera_names()
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise ParameterError(f"parameter cameras has {_short(name)}: names have letters, digits and _")
    if len(set(names)) < len(names):
        raise ParameterError(f"parameter cameras is {_short(params.cameras)}: each has a name of its own")
    if params.rig and len(names) < 2:
        raise ParameterError(
            f"parameter rig needs two cameras or more, parameter cameras is {_short(params.cameras)}: name them all"
        )
    if not params.rig and (params.rig_file or params.rig_frame):
        raise ParameterError("parameters rig_file and rig_frame go with rig: set rig to true, or leave them empty")
    if names and params.depth_topic:
        raise ParameterError("parameter depth_topic goes with one camera: leave it or cameras empty")
    if params.depth_info_topic and (not params.depth_topic or params.depth_alignment == "aligned"):
        raise ParameterError(
            "parameter depth_info_topic goes with a depth_topic that is not said to be aligned: leave it empty"
        )
    if names and params.temporal_lag_s:
        raise ParameterError("parameter temporal_lag_s goes with one camera: leave it at 0, or cameras empty")
    if params.rig and params.hypotheses:
        raise ParameterError("parameter hypotheses goes with no rig, whose views tell what one hides: leave it at 0")
    if params.rig and params.mirrored_input:
        raise ParameterError("parameter mirrored_input goes with no rig: its cameras' poses are of images as they are")
    if names and not params.rig and "hts" in params.chosen_outputs():
        raise ParameterError("parameter outputs has hts, whose topics are of one camera: leave it out, or set rig")
    if params.rig_file and not _is_file(params.rig_file):
        raise ParameterError(f"parameter rig_file is {_short(params.rig_file)}: there is no such file")


def _as_float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ParameterError(f"parameter {name} is {_short(value)}: too large for a number") from error


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a file's name, or with a zero byte
        return False


def _short(value: object) -> str:
    """A value for a person; of a huge one its beginning (Python refuses to print integers of 4300 digits)."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def specs() -> dict[str, ParameterSpec]:
    """The `ParameterSpec` of every parameter, in order."""
    return {entry.name: entry.metadata["spec"] for entry in fields(NodeParams)}


def markdown_table() -> str:
    """The parameters as the table of docs/ROS.md."""
    rows = ["| parameter | default | allowed | while running | meaning |", "|---|---|---|---|---|"]
    for entry in fields(NodeParams):
        spec = entry.metadata["spec"]
        default = str(entry.default).lower() if isinstance(entry.default, bool) else repr(entry.default)
        allowed = spec.admits() or type(entry.default).__name__
        rows.append(f"| `{entry.name}` | `{default}` | {allowed} | {'yes' if spec.live else 'no'} | {spec.text} |")
    return "\n".join(rows)
