"""What goes in and comes out of the fusion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prehend.types import Camera, FloatArray, FrameResult, HandEstimate


@dataclass(frozen=True)
class View:
    """What one camera sees.

    Attributes:
        name: of the camera.
        camera: of the image.
        T_rig_camera: (4, 4) the camera's pose in the rig's frame.
        hands: in its image, in the camera's frame.
        late_s: how much later than the image that gives the set its stamp this one was taken [s].
    """

    name: str
    camera: Camera
    T_rig_camera: FloatArray
    hands: tuple[HandEstimate, ...]
    late_s: float = 0.0


@dataclass(frozen=True)
class ViewError:
    """How one view of a fused hand agrees with it.

    Attributes:
        camera: name of the camera.
        track_id: of the hand in that camera.
        used: (21,) bool, joints whose places in this image count; none where the view was thrown out.
        rms_px: root mean square distance of the fused joints in the image from this view's keypoints [px].
        rms_m: the same at the hand's distance [m].
        apart_m: mean distance of this view's own joints from the fused ones [m].
    """

    camera: str
    track_id: int
    used: NDArray[np.bool_]
    rms_px: float
    rms_m: float
    apart_m: float


@dataclass(frozen=True)
class FusedHand:
    """One hand in the rig's frame.

    Attributes:
        hand: what `HandEstimate` says is in the rig's frame where it says "camera"; pixels are those of `lead`.
            `position_std_m` is the wrist's along its least certain direction.
        lead: name of the camera whose pixels they are.
        views: each view's agreement with it, by the cameras' names.
        joint_covariance_m2: (21, 3, 3) of the joints, in the rig's frame [m^2].
    """

    hand: HandEstimate
    lead: str
    views: tuple[ViewError, ...]
    joint_covariance_m2: FloatArray

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that it was made of."""
        return tuple(view.camera for view in self.views if view.used.any())


@dataclass(frozen=True)
class RigResult:
    """Everything about one set of images.

    Attributes:
        result: the fused hands as if one camera had seen them, in the rig's frame; `result.camera` is that of `lead`.
        fused: the same hands with what the views say, in the same order.
        views: what went in, by name.
        lead: name of the camera whose image gave the set its stamp.
    """

    result: FrameResult
    fused: tuple[FusedHand, ...]
    views: dict[str, View]
    lead: str
