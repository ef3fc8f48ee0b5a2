"""Which part of an image is repainted, and the depth of the bare hand in it."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import InvalidInput
from prehend.types import Camera
from prehend_training.datasets.occlusion import depth_of_mesh
from prehend_training.deocclude.config import RepaintConfig
from prehend_training.sample import HAND_CODE, OBJECT_CODE, HandLabel, Sample

Image = NDArray[np.uint8]
Faces = NDArray[np.integer]

FAR_BRIGHTNESS = 0.2
"""Brightness of the hand's farthest point in the depth map; what is not hand is 0."""

_OTHER_HANDS = np.array([HAND_CODE < code < OBJECT_CODE for code in range(256)])


@dataclass(frozen=True)
class Square:
    """Whole pixels of an image, which it may overlap: its left and top pixel and its side [px]."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class RepaintedSquare:
    """What is repainted of an image with width W and height H, in a square that is resized to S x S.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        weight: (H, W) float32 share of the repainted image in the twin: 1 on hand and object, falling to 0 over the
            soft edge, 0 elsewhere.
        silhouette: (H, W) bool, the bare hand.
        hidden: share of it that the held object hides.
        square: what the diffusion model sees.
        image: (S, S, 3) uint8, the square.
        mask: (S, S) bool, M of section 3.3: where `weight` is not 0.
        depth: (S, S) float32 in [0, 1], D of section 3.3 as ControlNets for depth expect it: near is bright.
    """

    picture: Image
    weight: NDArray[np.float32]
    silhouette: NDArray[np.bool_]
    hidden: float
    square: Square
    image: Image
    mask: NDArray[np.bool_]
    depth: NDArray[np.float32]

    def seen_in(self, picture: Image) -> Image:
        """(S, S, 3) the square of an (H, W, 3) image."""
        return np.asarray(_resized(_cut(picture, self.square), len(self.mask)), np.uint8)

    def paste(self, painted: Image) -> Image:
        """(H, W, 3) the image with an (S, S, 3) repainted square in it; where `weight` is 0 no pixel changes."""
        square, (height, width) = self.square, self.weight.shape
        small = _resized(painted, square.side).astype(np.float32)
        top, left = max(square.top, 0), max(square.left, 0)
        bottom, right = min(square.top + square.side, height), min(square.left + square.side, width)
        part = small[top - square.top : bottom - square.top, left - square.left : right - square.left]
        weight = self.weight[top:bottom, left:right, None]
        twin = self.picture.copy()
        before = twin[top:bottom, left:right]
        twin[top:bottom, left:right] = np.rint(weight * part + (1 - weight) * before).clip(0, 255).astype(np.uint8)
        return twin


def why_not(sample: Sample) -> str | None:
    """Why a sample can have no twin, None if it may: eq. 8 wants a grasping hand, we its mesh and what hides it.

    Only the first hand counts, the one that crops are cut out for.
    """
    if not sample.hands:
        return "no hand"
    hand = sample.hands[0]
    if hand.grasp is None:
        return "grasp unknown"
    if not hand.grasp or sample.held(hand) is None:
        return "not grasping"
    if sample.segmentation is None:
        return "no segmentation"
    return None if len(hand.vertices_m) else "no mesh"


def find_region(sample: Sample, faces: Faces, config: RepaintConfig) -> RepaintedSquare | None:
    """The region of the first hand and what it holds, None where less than `least_hidden` of that hand is hidden.

    Args:
        sample: one for which `why_not` gives None.
        faces: (F, 3) of the hand's mesh.
        config: sizes.

    Raises:
        InvalidInput: the faces are of another mesh.
    """
    hand = sample.hands[0]
    if int(faces.max()) >= len(hand.vertices_m):
        raise InvalidInput(f"{sample.frame_id}: faces of another hand model than the mesh of {len(hand.vertices_m)}")
    assert sample.segmentation is not None and hand.object_index is not None
    silhouette = np.isfinite(depth_of_mesh(hand.vertices_m, faces, sample.camera))
    thing = np.asarray(sample.segmentation == OBJECT_CODE + hand.object_index)
    hidden = hidden_share(silhouette, thing)
    if not hidden or hidden < config.least_hidden:
        return None
    core = silhouette | thing
    square = _square(core, config)
    weight = _soft(core, config.edge * square.side)
    weight[_OTHER_HANDS[sample.segmentation]] = 0
    return RepaintedSquare(
        picture=sample.image,
        weight=weight,
        silhouette=silhouette,
        hidden=hidden,
        square=square,
        image=np.asarray(_resized(_cut(sample.image, square), config.size_px), np.uint8),
        mask=np.asarray(_resized(_cut((weight > 0).astype(np.float32), square, outside=0), config.size_px) > 0),
        depth=hand_depth(hand, faces, camera_of_square(sample.camera, square, config.size_px)),
    )


def hidden_share(silhouette: NDArray[np.bool_], thing: NDArray[np.bool_]) -> float:
    """Share of the bare hand's pixels (H, W) that an object (H, W) hides: the occlusion of section 3.3, case filtering.

    Unlike 1 - `HandLabel.visible_ratio` it leaves out what lies outside of the image, which no object hides.
    """
    return float((silhouette & thing).sum() / max(int(silhouette.sum()), 1))


def camera_of_square(camera: Camera, square: Square, size_px: int) -> Camera:
    """The camera whose image is a square of another's image, resized to `size_px`."""
    scale = size_px / square.side
    # outer edges of pixels map to outer edges, as cv2.resize does it
    shift_x, shift_y = ((0.5 - place) * scale - 0.5 for place in (square.left, square.top))
    A = np.array([[scale, 0, shift_x], [0, scale, shift_y], [0, 0, 1]])
    return replace(camera, K=A @ camera.K, width=size_px, height=size_px)


def hand_depth(hand: HandLabel, faces: Faces, camera: Camera) -> NDArray[np.float32]:
    """(H, W) brightness of the bare hand's depth in [0, 1]: linear in 1 / z (MiDaS, on which ControlNets for depth were
    trained, gives inverse depth), 1 at its nearest point in the image, `FAR_BRIGHTNESS` at its farthest, 0 beside
    it."""
    near = 1 / depth_of_mesh(hand.vertices_m, faces, camera)  # 0 beside the hand
    on = near > 0
    if not on.any():
        return np.zeros_like(near)
    low, high = near[on].min(), near[on].max()
    share = (near - low) / max(high - low, 1e-9)
    return np.asarray(np.where(on, FAR_BRIGHTNESS + (1 - FAR_BRIGHTNESS) * share, 0), np.float32)


def _square(core: NDArray[np.bool_], config: RepaintConfig) -> Square:
    """A square around a mask and its soft edge, moved into the image as far as it fits."""
    rows, columns = np.flatnonzero(core.any(1)), np.flatnonzero(core.any(0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    least = (longer + 4) / (1 - 2 * config.edge)
    # what lies beyond the image tells the model nothing: no wider than it must be or the image's shorter side
    side = int(np.ceil(max(min(config.context * longer, min(core.shape)), least)))
    left, top = (
        _placed((pixels[0] + pixels[-1] + 1) / 2, side, size)
        for pixels, size in ((columns, core.shape[1]), (rows, core.shape[0]))
    )
    return Square(left, top, side)


def _placed(middle: float, side: int, size: int) -> int:
    """First pixel of a span of `side` around a middle, inside 0..size where it fits, else around all of it."""
    first = round(middle - side / 2)
    return int(np.clip(first, min(0, size - side), max(0, size - side)))


def _soft(core: NDArray[np.bool_], width_px: float) -> NDArray[np.float32]:
    """1 on the mask, falling to 0 at `width_px` beside it."""
    away = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.clip(1 - away / (width_px + 1), 0, 1), np.float32)


def _cut(array: NDArray[Any], square: Square, outside: float | None = None) -> NDArray[Any]:
    """The square of an array (H, W, ...); beyond the image its edge goes on, or there is `outside`."""
    height, width = array.shape[:2]
    before = max(-square.top, 0), max(-square.left, 0)
    after = max(square.top + square.side - height, 0), max(square.left + square.side - width, 0)
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    padded = cv2.copyMakeBorder(
        np.ascontiguousarray(array), before[0], after[0], before[1], after[1], border, value=(outside or 0,) * 4
    )
    top, left = square.top + before[0], square.left + before[1]
    return np.asarray(padded)[top : top + square.side, left : left + square.side]


def _resized(array: NDArray[Any], size_px: int) -> NDArray[Any]:
    """A square array resized; means of pixels where it gets smaller."""
    shrinks = size_px < array.shape[0]
    return np.asarray(
        cv2.resize(array, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    )
