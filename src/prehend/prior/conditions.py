"""What is known of one hand when a prior is asked about it, checked."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prehend.check import check_shape, numbers
from prehend.conventions import FINGERS, MIRROR, NUM_JOINTS, SIDES, Side
from prehend.errors import InvalidInput, UnknownName
from prehend.geometry.camera import plane_from_pixels, project
from prehend.types import Camera, FloatArray

SMALLEST_M, LARGEST_M = 0.02, 0.4
"""Between the farthest two joints or vertices of a hand that are known: outside of it they are in another unit."""
FARTHEST_M = 20.0
SMALLEST_PX = 2.0
"""Between the farthest two keypoints of a hand in an image."""
FEWEST_JOINTS, FEWEST_KEYPOINTS = 3, 4
CONTRADICTION_M, CONTRADICTION_PX = 0.03, 40.0
"""Two answers for one joint that are farther apart than this are not of one hand in one image."""
APART_M = 0.2
"""Parts of one hand, or a hand and what it touches, are not farther from each other than this."""
_MOST = 500
"""Points of a part that are compared with another's."""
_ONE_EACH = ("joints_std_m", "keypoints_std_px")


@dataclass(frozen=True, eq=False)
class Conditions:
    """What is known of a hand; NaN stands for what is not. Lengths are in any one frame, with a camera in its own.

    Attributes:
        side: of the hand.
        joints_m: (21, 3) joints [m]. joints_std_m: their standard deviation, one number or (21,) [m].
        keypoints_px: (21, 2) joints in the camera's image [px]. keypoints_std_px: likewise [px].
        camera: of the image, with any distortion.
        vertices_m: (V, 3) mesh of the hand model, in part [m]. vertices_std_m: of them [m].
        points_m: (N, 3) points on the hand's skin, of a depth camera [m]. points_std_m: of them [m].
        mask: (H, W) bool of the image: where the hand is seen and nowhere else.
        object_points_m, object_normals: (K, 3) on the surface of an object that the hand does not go into, and
            outwards, of length 1.
        contact: fingers whose tips touch it.

    Raises:
        InvalidInput: something has the wrong shape, is infinite, contradicts another, is of another unit, or is not
            enough to tell where the hand is.
        UnknownName: there is no such side or finger.
    """

    side: Side = "right"
    joints_m: FloatArray | None = None
    joints_std_m: FloatArray | float = 0.003
    keypoints_px: FloatArray | None = None
    keypoints_std_px: FloatArray | float = 2.0
    camera: Camera | None = None
    vertices_m: FloatArray | None = None
    vertices_std_m: float = 0.0005
    points_m: FloatArray | None = None
    points_std_m: float = 0.004
    mask: NDArray[np.bool_] | None = None
    object_points_m: FloatArray | None = None
    object_normals: FloatArray | None = None
    contact: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise UnknownName("side", str(self.side), SIDES)
        for finger in self.contact:
            if finger not in FINGERS:
                raise UnknownName("finger", finger, FINGERS)
        self._check_arrays()
        self._check_deviations()
        if (self.keypoints_px is not None or self.mask is not None) and self.camera is None:
            raise InvalidInput("joints or a mask in an image need the camera of the image: give its K and size")
        self._check_mask()
        self._check_object()
        self._check_enough()
        self._check_picture()
        self._check_contradiction()
        self._check_apart()

    def _check_deviations(self) -> None:
        for name in (*_ONE_EACH, "vertices_std_m", "points_std_m"):
            value = numbers(name, getattr(self, name))
            shapes, more = (((), (NUM_JOINTS,)), f", or {NUM_JOINTS} of them") if name in _ONE_EACH else (((),), "")
            if value.shape not in shapes or not (np.isfinite(value) & (value > 0)).all():
                raise InvalidInput(f"{name} is not one positive number{more}")

    def _check_mask(self) -> None:
        if self.mask is None or self.camera is None:
            return
        mask = np.asarray(self.mask)
        if mask.dtype.kind not in "bui":
            raise InvalidInput(f"the mask is of {mask.dtype}: give True where the hand is seen, False elsewhere")
        check_shape("mask", mask, [self.camera.height, self.camera.width])
        if not mask.any():
            raise InvalidInput("the mask is empty: leave it out where the hand is not seen")
        object.__setattr__(self, "mask", mask.astype(bool))

    def _check_object(self) -> None:
        if (self.object_points_m is None) != (self.object_normals is None):
            raise InvalidInput("the points of an object need their normals, and normals their points")
        if self.object_points_m is None or self.object_normals is None:
            if self.contact:
                raise InvalidInput("a contact needs the object that is touched: its points and normals")
            return
        check_shape("object_normals", self.object_normals, [len(self.object_points_m), 3])
        if (np.abs(np.linalg.norm(self.object_normals, axis=1) - 1) > 0.01).any():
            raise InvalidInput("object_normals are not of length 1: divide them by their lengths")

    def _check_arrays(self) -> None:
        shapes = {
            "joints_m": [NUM_JOINTS, 3], "keypoints_px": [NUM_JOINTS, 2], "vertices_m": ["V", 3], "points_m": ["N", 3],
            "object_points_m": ["K", 3], "object_normals": ["K", 3],
        }  # fmt: skip
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is None:
                continue
            array = numbers(name, value)
            check_shape(name, array, shape)  # type: ignore[arg-type]
            if np.isinf(array).any():
                raise InvalidInput(f"{name} holds infinite values; NaN stands for what is not known")
            if name not in ("joints_m", "keypoints_px", "vertices_m") and np.isnan(array).any():
                raise InvalidInput(f"{name} holds NaN: leave such points out")
            whole = np.isfinite(array).all(1)
            if (np.isfinite(array).any(1) & ~whole).any():
                raise InvalidInput(f"{name} knows some coordinates of a point and not the others")
            if not whole.any():
                raise InvalidInput(f"{name} holds nothing that is known: leave it out")
            if name.endswith("_m"):
                _check_unit(name, array[whole], name in ("joints_m", "vertices_m"))
            object.__setattr__(self, name, array)

    @property
    def places(self) -> bool:
        """Whether anything is known, and with it where the hand is."""
        return any(value is not None for value in (self.joints_m, self.keypoints_px, self.vertices_m))

    def _check_enough(self) -> None:
        told = {"joints_m": FEWEST_JOINTS, "keypoints_px": FEWEST_KEYPOINTS, "vertices_m": 3}
        counts = {name: _count(getattr(self, name)) for name in told}
        if self.places and all(counts[name] < fewest for name, fewest in told.items()):
            raise InvalidInput(
                f"too little is known to tell where the hand is: give {FEWEST_JOINTS} joints in space, "
                f"{FEWEST_KEYPOINTS} in the image, or a part of its mesh"
            )
        further = [name for name in ("points_m", "mask", "object_points_m") if getattr(self, name) is not None]
        if further and not self.places:
            raise InvalidInput(f"{further[0]} alone does not tell where the hand is: give some of its joints too")

    def _check_picture(self) -> None:
        """Keypoints that are of another image, or no pixels."""
        if self.keypoints_px is None or self.camera is None:
            return
        seen = self.keypoints_px[np.isfinite(self.keypoints_px).all(1)]
        extent = float(np.ptp(seen, axis=0).max())
        if len(seen) > FEWEST_KEYPOINTS and extent < SMALLEST_PX:
            raise InvalidInput(
                f"keypoints_px span {extent:.2g} px: no hand is so small; give pixels, not shares of the image's size"
            )
        width, height = self.camera.width, self.camera.height
        if ((seen < [-width, -height]) | (seen > [2 * width, 2 * height])).any(1).all():
            raise InvalidInput(
                f"keypoints_px lie far outside of the camera's {width} x {height} pixels: are they of another image?"
            )

    def _check_contradiction(self) -> None:
        if self.joints_m is not None and self.keypoints_px is not None and self.camera is not None:
            off = np.linalg.norm(project(self.joints_m, self.camera) - self.keypoints_px, axis=1)
            both = np.isfinite(self.joints_m).all(1) & np.isfinite(self.keypoints_px).all(1)
            if both.any() and not np.nanmedian(np.where(np.isfinite(off[both]), off[both], 1e9)) < CONTRADICTION_PX:
                raise InvalidInput(
                    "joints in space and in the image contradict each other: seen by this camera they are "
                    f"{np.median(np.nan_to_num(off[both], nan=np.inf)):.0f} px apart"
                )

    def _in_space(self) -> FloatArray:
        """(N, 3) known joints and some of the known vertices."""
        parts = [part[np.isfinite(part).all(1)] for part in (self.joints_m, self.vertices_m) if part is not None]
        return np.concatenate([_some(part) for part in parts]) if parts else np.zeros((0, 3))

    def _check_apart(self) -> None:
        """Parts of what is known that lie where no part of the hand can be."""
        there = self._in_space()
        others = {"points_m": self.points_m, "the object that is touched": self.object_points_m}
        if not self.contact:
            others.popitem()
        for name, points in others.items():
            if points is None or not len(there):
                continue
            gap = float(np.linalg.norm(_some(points)[:, None] - there, axis=2).min())
            if gap > APART_M:
                raise InvalidInput(f"{name} and the hand contradict each other: they are {gap:.2g} m apart")
        if self.mask is not None and self.camera is not None:
            self._check_mask_is_of_hand(there, self.mask, self.camera)

    def _check_mask_is_of_hand(self, there: FloatArray, mask: NDArray[np.bool_], camera: Camera) -> None:
        seen = project(there, camera) if self.keypoints_px is None else self.keypoints_px
        seen = seen[np.isfinite(seen).all(1)]
        if not len(seen):
            raise InvalidInput("mask and joints contradict each other: the camera does not see the joints at all")
        pixels = _some(np.argwhere(mask)[:, ::-1].astype(np.float64))
        gap = float(np.linalg.norm(pixels[:, None] - seen, axis=2).min())
        # a hand is hidden in part: what is seen of it may be as far from known joints as those from each other
        if gap > max(CONTRADICTION_PX, float(np.ptp(seen, axis=0).max())):
            raise InvalidInput(f"mask and joints contradict each other: they are {gap:.0f} px apart")

    def check_joints_of_mesh(self, regressor: FloatArray) -> None:
        """Raise `InvalidInput` where known joints and the part of the mesh are of two hands.

        Args:
            regressor: (21, V) joints of the mesh, see `joints_of_mesh`.
        """
        if self.vertices_m is None:
            return
        if len(self.vertices_m) != regressor.shape[1]:
            raise InvalidInput(
                f"a mesh of {len(self.vertices_m)} vertices is of another hand model: this one has {regressor.shape[1]}"
            )
        known = np.isfinite(self.vertices_m).all(1)
        whole = (np.abs(regressor) * ~known).sum(1) < 1e-6
        joints = regressor @ np.nan_to_num(self.vertices_m)
        if self.joints_m is not None:
            off = 1000 * _median_off(joints[whole], self.joints_m[whole])
            if off > 1000 * CONTRADICTION_M:
                raise InvalidInput(f"joints and mesh contradict each other: they are {off:.0f} mm apart")
        if self.keypoints_px is not None and self.camera is not None:
            off = _median_off(project(joints[whole], self.camera), self.keypoints_px[whole])
            if off > CONTRADICTION_PX:
                raise InvalidInput(f"mesh and joints in the image contradict each other: {off:.0f} px apart")

    def as_right(self) -> "Conditions":
        """The same of a right hand: a left one in the mirror x -> -x, with what the camera's mirror image sees."""
        if self.side == "right":
            return self
        mirror = MIRROR.diagonal()
        changes: dict[str, object] = {"side": "right"}
        for name in ("joints_m", "vertices_m", "points_m", "object_points_m", "object_normals"):
            value = getattr(self, name)
            changes[name] = None if value is None else value * mirror
        if self.camera is not None:
            ideal = self.pinhole()
            K = ideal.K.copy()
            K[0, 2] = ideal.width - 1 - K[0, 2]
            changes["camera"] = replace(ideal, K=K)
            if self.keypoints_px is not None:
                seen = self.ideal_keypoints()
                changes["keypoints_px"] = np.stack([ideal.width - 1 - seen[:, 0], seen[:, 1]], 1)
            if self.mask is not None:
                changes["mask"] = np.ascontiguousarray(self.mask[:, ::-1])
        return replace(self, **changes)  # type: ignore[arg-type]

    def pinhole(self) -> Camera:
        """The camera without distortion and skew; what it sees is that of `ideal_keypoints`."""
        assert self.camera is not None
        K = np.diag([self.camera.K[0, 0], self.camera.K[1, 1], 1.0])
        K[:2, 2] = self.camera.K[:2, 2]
        return Camera(K, self.camera.width, self.camera.height, estimated=self.camera.estimated)

    def ideal_keypoints(self) -> FloatArray:
        """(21, 2) joints in the image of `pinhole` [px]."""
        assert self.camera is not None and self.keypoints_px is not None
        known = np.isfinite(self.keypoints_px).all(1)
        found = np.full((NUM_JOINTS, 2), np.nan)
        ideal = self.pinhole()
        found[known] = plane_from_pixels(self.keypoints_px[known], self.camera) @ ideal.K[:2, :2].T + ideal.K[:2, 2]
        return found


def _some(points: FloatArray) -> FloatArray:
    """(N, d) -> at most about `_MOST` of them, evenly taken."""
    return points[:: max(1, len(points) // _MOST)]


def _median_off(one: FloatArray, other: FloatArray) -> float:
    """Median distance of (N, d) points that both have; 0 where they share none."""
    off = np.linalg.norm(one - other, axis=1)
    off = off[np.isfinite(off)]
    return float(np.median(off)) if len(off) else 0.0


def _count(value: FloatArray | None) -> int:
    return 0 if value is None else int(np.isfinite(value).all(1).sum())


def _check_unit(name: str, points: FloatArray, whole_hand: bool) -> None:
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    if np.abs(points).max() > FARTHEST_M or (whole_hand and len(points) > 4 and not SMALLEST_M < extent < LARGEST_M):
        raise InvalidInput(f"{name} spans {extent:.3g} m: a hand does not; are they in metres?")
