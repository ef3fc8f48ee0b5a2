"""What goes in and comes out of the pipeline: frozen records of numpy arrays, in metres, radians and pixels."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_finite, check_shape, numbers
from prehend.conventions import Side
from prehend.errors import InvalidInput

FloatArray = NDArray[np.floating]

GraspState = Literal["grasping", "not_grasping", "unknown"]
TrackState = Literal["tracked", "coasting"]
EventKind = Literal["found", "lost", "regained", "left_view", "grasped", "released", "object_changed"]
DistortionModel = Literal["plumb_bob", "rational_polynomial", "equidistant"]


_TINY_PX, _HUGE_PX = 1e-6, 1e9
"""Beyond these the arithmetic ends, whatever the camera."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with OpenCV distortion, for one image size.

    Attributes:
        K: (3, 3) float64 intrinsics [px].
        width, height: image size the intrinsics are for [px].
        distortion: (N,) coefficients in OpenCV's order, empty for none.
        distortion_model: names of sensor_msgs/CameraInfo.
        estimated: True when K was assumed and not measured; metric positions are then not to be trusted.

    Raises:
        InvalidInput: K is not finite, has no positive focal lengths, cannot be inverted, or the size is not positive.
            Whether the numbers are plausible for the image is judged by `geometry.calibration.checked_camera`.
    """

    K: FloatArray
    width: int
    height: int
    distortion: FloatArray = field(default_factory=lambda: np.zeros(0))
    distortion_model: DistortionModel = "plumb_bob"
    estimated: bool = False

    def __post_init__(self) -> None:
        K, distortion = numbers("K", self.K), numbers("distortion", self.distortion).ravel()
        check_shape("K", K, [3, 3])
        check_finite("K", K)
        check_finite("distortion", distortion)
        if K[0, 0] <= 0 or K[1, 1] <= 0 or K[2, 2] == 0:
            raise InvalidInput(
                f"K has focal lengths {K[0, 0]:g}, {K[1, 1]:g}: the camera is not calibrated; "
                "calibrate it, or leave K out to have it estimated"
            )
        if not (np.abs(K) < _HUGE_PX).all() or np.linalg.det(K[:2, :2]) < 1e-9 * K[0, 0] * K[1, 1]:
            raise InvalidInput("K cannot be inverted: no camera has these intrinsics")
        if min(K[0, 0], K[1, 1]) < _TINY_PX or np.abs(K[2] - [0, 0, 1]).max() > 1e-6:
            raise InvalidInput(
                "K is no camera matrix: its last row is not 0 0 1, or its focal lengths are next to none"
            )
        if self.width <= 0 or self.height <= 0:
            raise InvalidInput(f"camera size {self.width} x {self.height} is not positive")
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "distortion", distortion)


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in the image, corners included [px]."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """x1 - x0 [px]."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """y1 - y0 [px]."""
        return self.y1 - self.y0

    @property
    def center(self) -> tuple[float, float]:
        """x, y of the middle [px]."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Of the box [px^2], 0 where it is turned inside out."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def as_array(self) -> FloatArray:
        """(4,) float32 x0, y0, x1, y1."""
        return np.array([self.x0, self.y0, self.x1, self.y1], np.float32)

    @classmethod
    def around(cls, points_px: FloatArray) -> "Box":
        """The tight box around (..., 2) points."""
        low, high = points_px.reshape(-1, 2).min(0), points_px.reshape(-1, 2).max(0)
        return cls(float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 for boxes without area."""
        shared = Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))
        if shared.width <= 0 or shared.height <= 0:
            return 0.0
        return shared.area / (self.area + other.area - shared.area)


@dataclass(frozen=True)
class Region:
    """Where a crop is cut: a box that is upright once the image is turned so that the hand points up.

    Attributes:
        center_px: x, y of the middle in the image [px].
        width, height: in the turned image [px].
        turn_rad: direction of the hand (wrist to middle knuckle) from the image's up, clockwise as seen in the image:
            `atan2(dx, -dy)`, 0 for a hand that points up [rad].
    """

    center_px: tuple[float, float]
    width: float
    height: float
    turn_rad: float = 0.0

    @property
    def axes(self) -> FloatArray:
        """(2, 2) float64 turns directions of the image into the turned image's: `axes @ direction`."""
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        return np.array([[cos, sin], [-sin, cos]])

    @property
    def longer(self) -> float:
        """The longer side [px]."""
        return max(self.width, self.height)

    @property
    def box(self) -> Box:
        """The axis-aligned box around it in the image [px]."""
        half = np.abs(self.axes).T @ np.array([self.width, self.height]) / 2
        (x, y), (dx, dy) = self.center_px, half.tolist()
        return Box(x - dx, y - dy, x + dx, y + dy)

    @classmethod
    def of_box(cls, box: Box, turn_rad: float = 0.0) -> "Region":
        """The region of a box of the image; turned, the square on the box's longer side: how the hand lies in the box
        is not known."""
        if turn_rad == 0.0:
            return cls(box.center, box.width, box.height)
        longer = max(box.width, box.height)
        return cls(box.center, longer, longer, turn_rad)

    @classmethod
    def around(cls, points_px: FloatArray, turn_rad: float = 0.0) -> "Region":
        """The tight region around (..., 2) points, turned by this much [rad]."""
        axes = cls((0.0, 0.0), 0.0, 0.0, turn_rad).axes
        turned = np.asarray(points_px, np.float64).reshape(-1, 2) @ axes.T
        low, high = turned.min(0), turned.max(0)
        x, y = (axes.T @ ((low + high) / 2)).tolist()
        return cls((x, y), float(high[0] - low[0]), float(high[1] - low[1]), turn_rad)


@dataclass(frozen=True)
class FoundHand:
    """A hand as the detector, a track or a user gives it: where to look; without a side it may be either.

    Attributes:
        box_px: of the hand [px].
        side: None where nothing is claimed.
        score: 0..1, that it is a hand.
        object_box_px: of what it holds, None where that is not known.
        region: where to cut first; None: from `box_px`, upright; with depth turned, too, where that look is unsure.
    """

    box_px: Box
    side: Side | None
    score: float = 1.0
    object_box_px: Box | None = None
    region: Region | None = None


@dataclass(frozen=True)
class GraspEstimate:
    """Whether the hand holds something (see `conventions.GRASP_DEFINITION`), after hysteresis.

    Attributes:
        state: "unknown" until there is evidence.
        probability: the network's answer for this frame alone.
        since: stamp [s] of the frame in which `state` began, None without stamps.
    """

    state: GraspState
    probability: float
    since: float | None = None


@dataclass(frozen=True)
class ObjectEstimate:
    """What a hand holds.

    Attributes:
        object_id: name in the object catalogue, "unknown" where nobody said what it is.
        score: 0..1, mean confidence of the control points.
        keypoints_px: (21, 2) control points in the image: of this frame's pose where there is one, before it is
            smoothed, else as the network sees them.
        T_camera_object: (4, 4) pose, None where `no_pose` says why.
        box_px: box of the control points.
        extents_m: (3,) of the box whose pose it is [m], None where no size is known.
        extents_estimated: the extents are the network's guess: nobody said what the object is. Its frame is then in the
            middle of the box.
        no_pose: why there is no pose, empty where there is one: "unsure" of the control points; "no_fit", they agree on
            no pose; "far_from_hand"; "unknown_object", without a size.
    """

    object_id: str
    score: float
    keypoints_px: FloatArray
    box_px: Box
    T_camera_object: FloatArray | None = None
    extents_m: FloatArray | None = None
    extents_estimated: bool = False
    no_pose: str = ""


@dataclass(frozen=True)
class HandMotion:
    """How a hand moves, seen from the camera and in its frame.

    Attributes:
        joints_m_s: (21, 3) linear velocities of the joints; the wrist is the first [m/s].
        wrist_rad_s: (3,) angular velocity of the wrist [rad/s].
    """

    joints_m_s: FloatArray
    wrist_rad_s: FloatArray


@dataclass(frozen=True)
class HandHypotheses:
    """Hands that an estimate may mean, see `pipeline.hypotheses`; all hang on the wrist of the estimate.

    Attributes:
        joints_m: (n, 21, 3) in the camera frame [m].
        rotations: (n, 16, 3, 3) as of `HandEstimate`.
        joint_covariance_m2: (21, 3, 3) of each joint about the wrist, in the camera's directions; 0 for the wrist,
            whose own is `HandEstimate.position_std_m` along the ray [m2].
        consistent: number of the hypothesis that agrees best with where hidden joints were last seen; -1 where the
            estimate agrees about as well, or nobody saw them.
        steps: times that the prior has seen each of them, at least.
    """

    joints_m: FloatArray
    rotations: FloatArray
    joint_covariance_m2: FloatArray
    consistent: int = -1
    steps: int = 0

    def moved(self, T: FloatArray) -> "HandHypotheses":
        """The same in another frame, by T (4, 4)."""
        R = T[:3, :3]
        rotations = np.concatenate([(R @ self.rotations[:, 0])[:, None], self.rotations[:, 1:]], 1)
        return replace(
            self,
            joints_m=self.joints_m @ R.T + T[:3, 3],
            rotations=rotations,
            joint_covariance_m2=R @ self.joint_covariance_m2 @ R.T,
        )


@dataclass(frozen=True)
class HandEstimate:
    """One hand in one frame.

    Attributes:
        track_id: stays the same while the hand is followed; starts at 1 and is never used again.
        side: left or right.
        score: 0..1, probability that this is a hand.
        side_score: 0..1, probability that it is of `side`, as the network tells it for this frame alone (`side` itself
            is believed over frames); 1 where a user said so, NaN where nobody knows.
        box_px: tight box of the joints in the image.
        keypoints_px: (21, 2) joints in the image.
        joints_m: (21, 3) joints in the camera frame, nothing aligned. Their place along the viewing ray is
            only as good as the camera: see `Camera.estimated` and `position_std_m`.
        vertices_m: (V, 3) mesh in the camera frame; faces come from the hand model, for this side.
        rotations: (16, 3, 3) MANO's joint rotations; the first one is the wrist's, from hand to camera frame.
        betas: (10,) shape.
        visible: (21,) bool, joints that are in the image and not hidden.
        grasp: whether something is held.
        held_object: what is held, None where nothing is or where it was not looked for.
        fit_error_px: root mean square distance between the projected joints and `keypoints_px`.
        position_std_m: rough standard deviation of the wrist along the viewing ray [m]; NaN where unknown.
        keypoint_std_px: (21,) standard deviations of `keypoints_px` along an axis, as the network tells them for this
            frame [px]; None of weights that do not tell.
        state: "coasting" where it is not seen, and this is how it was last seen (option `lost` "hold").
        is_operator: it is the operator's left or right hand; see `pipeline.tracking.identities`.
        motion: None before it was seen twice, and while it is not seen.
        validity: (21,) uint8 of each joint: 2 seen now, 1 carried over from when it was last seen, 0 guessed from the
            others; None where nobody looked.
        joint_std_m: (21,) distance about the wrist that .68 of the errors of a joint are below, see
            `pipeline.networks.uncertainty`; larger the longer it is carried over [m]. None of weights that do not tell.
        measured: a depth image shows its joints, and `joint_std_m` follows from that.
        hypotheses: hands that it may mean; None where that is not asked for, where all joints are seen and sure, and
            while they are in the making.
    """

    track_id: int
    side: Side
    score: float
    box_px: Box
    keypoints_px: FloatArray
    joints_m: FloatArray
    vertices_m: FloatArray
    rotations: FloatArray
    betas: FloatArray
    visible: NDArray[np.bool_]
    grasp: GraspEstimate
    held_object: ObjectEstimate | None = None
    fit_error_px: float = float("nan")
    position_std_m: float = float("nan")
    keypoint_std_px: FloatArray | None = None
    side_score: float = float("nan")
    state: TrackState = "tracked"
    is_operator: bool = False
    motion: HandMotion | None = None
    validity: NDArray[np.uint8] | None = None
    joint_std_m: FloatArray | None = None
    hypotheses: HandHypotheses | None = None
    measured: bool = False


@dataclass(frozen=True)
class HandEvent:
    """Something that happened to a hand, told once.

    Attributes:
        kind: "found", "lost" (out of sight, and not known to have left), "left_view" (out of sight over the image's
            border), "regained" (back under its number), "grasped", "released", "object_changed" (it holds something
            else than was told).
        track_id, side: of the hand, as it was last seen.
        stamp: of the first of the frames that led to it [s]: when it happened, not when it was certain. None without
            stamps.
        late_s: time from then to the frame in which it is told [s].
        confidence: 0..1, what the networks say in the frame in which it is told: probability of the hand, of the
            grasp or of its absence, score of the object; NaN of hands that are not seen.
        object_id: what is held, or was until it was released; empty where that is not known.
    """

    kind: EventKind
    track_id: int
    side: Side
    stamp: float | None
    late_s: float
    confidence: float = float("nan")
    object_id: str = ""


@dataclass(frozen=True)
class FrameResult:
    """Everything about one image.

    Attributes:
        camera: the camera used; `camera.estimated` says whether it was assumed.
        hands: in the order of their track ids.
        stamp: of the image [s], None where there is none.
        timing_ms: wall time of each stage: find, crop, infer, decode, total.
        found: True when the detector looked at this frame, False when boxes came from tracks or the caller.
        events: what is told with this frame; empty where hands are not followed.
        lost: numbers of hands that are waited for and not among `hands`.
        lag_s: how much later than this image the newest one was taken that the hands draw on: 0 unless they were held
            back (option `temporal_lag_s`) [s].
    """

    camera: Camera
    hands: tuple[HandEstimate, ...]
    stamp: float | None
    timing_ms: dict[str, float]
    found: bool
    events: tuple[HandEvent, ...] = ()
    lost: tuple[int, ...] = ()
    lag_s: float = 0.0
