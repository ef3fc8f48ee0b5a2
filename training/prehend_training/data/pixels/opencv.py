"""The pixel work of samples on a CPU, with OpenCV on uint8; one 128 px crop takes about a millisecond."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.types import FloatArray
from prehend_training.data.pixels.draws import (
    CONTRAST,
    HUE,
    LEVELS,
    LUMA,
    MIX,
    Colours,
    Degrading,
    Image,
    Noise,
    OccludingPatch,
    PixelChanges,
    motion_kernel,
    noise_wall,
)
from prehend_training.data.pixels.plans import (
    HELD_ALONE,
    MAP_STRIDE,
    NOTHING,
    Background,
    CropPixels,
    FramePixels,
    cell_places,
)
from prehend_training.sample import HAND_CODE, OBJECT_CODE, OTHER_CODE

ArrayDict = dict[str, NDArray[Any]]
Window = tuple[int, int, int, int]

_AROUND = np.ones((5, 5), np.uint8)
_OUTSIDE = 254
"""Number in a crop's segmentation where the stored image ends."""


def crop_arrays(pixels: CropPixels) -> ArrayDict:
    """What a crop shows: image, image_deoccluded (where the twin is asked for), segments, object_mask."""
    size, affine, source = pixels.size_px, pixels.affine, pixels.source
    names = ["image", "deoccluded"] if pixels.own_twin and "deoccluded" in source else ["image"]
    images = [warp(source[name], affine, size, pixels.smear) for name in names]
    segments = warp_segments(source["segmentation"], affine, size, _OUTSIDE)
    if pixels.front == HELD_ALONE:
        segments = segments * (segments == OBJECT_CODE)
    elif pixels.front == NOTHING:
        segments = np.zeros_like(segments)
    if pixels.background is not None:
        behind = background(pixels.background, size)
        keeps = [((segments > 0) & (segments != _OUTSIDE)).astype(np.uint8)]
        if len(images) > 1:
            keeps.append(warp_segments(source["deoccluded_front"], affine, size, 0))
        images = [
            paste(image, keep, behind) if pixels.front != NOTHING else behind
            for image, keep in zip(images, keeps, strict=True)
        ]
    if pixels.changes is not None:
        images = [changed(image, pixels.changes) for image in images]
    told = {"image": images[0]} | ({"image_deoccluded": images[-1]} if pixels.twin else {})
    return {**told, **_crop_maps(pixels, segments)}


def _crop_maps(pixels: CropPixels, segments: NDArray[np.uint8]) -> ArrayDict:
    """The maps that are read off the (S, S) segmentation of a crop."""
    shown = np.zeros_like(segments) if pixels.unlabelled else segments
    mask = np.zeros(pixels.grid**2, np.float32)
    if pixels.object_box is not None:
        mask = cells_on(segments == OBJECT_CODE, pixels.object_box, pixels.grid)
    return {"segments": coarse_segments(shown), "object_mask": mask}


def frame_arrays(pixels: FramePixels) -> ArrayDict:
    """What a frame shows: image (S, S, 3), black outside of the window, and segments (G, G)."""
    source, affine, window, size = pixels.source, pixels.affine, pixels.window, pixels.size_px
    return {
        "image": frame_image(source["image"], affine, window, size, pixels.changes),
        "segments": coarse_frame_segments(source["segmentation"], affine, window, size, pixels.stride_px),
    }


def frame_image(image: Image, affine: FloatArray, window: Window, size_px: int, changes: PixelChanges | None) -> Image:
    """(S, S, 3) a frame through a (2, 3) map, changed in the window x0, y0, x1, y1 and black outside of it."""
    shown = warp_frame(image, affine, window, size_px)
    if changes is None:
        return shown
    inside = np.s_[window[1] : window[3], window[0] : window[2]]
    result = np.zeros_like(shown)
    result[inside] = changed(shown[inside], changes)
    return result


def coarse_segments(segments: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(S, S) segmentation -> (S / 4, S / 4): 1 the first hand with its arm, 2 what it holds, 0 the rest."""
    coarse = segments[MAP_STRIDE // 2 :: MAP_STRIDE, MAP_STRIDE // 2 :: MAP_STRIDE]
    return ((coarse == HAND_CODE) + 2 * (coarse == OBJECT_CODE)).astype(np.uint8)


def cells_on(mask: NDArray[np.bool_], box_px: FloatArray, grid: int) -> NDArray[np.float32]:
    """(grid**2,) 1 where the centre of a cell of the box, row by row, lies on the (S, S) mask."""
    x, y, inside = cell_places(box_px, grid, len(mask))
    return np.asarray(mask[np.ix_(y, x)] & inside, np.float32).ravel()


def warp(image: Image, affine: FloatArray, size_px: int, smear: bool = False) -> Image:
    """What a (2, 3) map shows of an image (size, size, 3); outside of it black, or its edge smeared out."""
    border = cv2.BORDER_REPLICATE if smear else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(np.ascontiguousarray(image), affine, (size_px, size_px), borderMode=border)
    return np.asarray(warped, np.uint8)


def warp_segments(segmentation: NDArray[np.uint8], affine: FloatArray, size_px: int, outside: int) -> NDArray[np.uint8]:
    """What a (2, 3) map shows of a segmentation (size, size); `outside` where the stored image ends."""
    return np.asarray(
        cv2.warpAffine(
            np.ascontiguousarray(segmentation), affine, (size_px, size_px),
            flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,),
        ),
        np.uint8,
    )  # fmt: skip


def background(chosen: Background, size_px: int) -> Image:
    """(S, S, 3) the chosen piece, what stands in front filled up from around."""
    filled = without_front(np.asarray(chosen.source["image"]), np.asarray(chosen.source["segmentation"]) > 0)
    (top, left), side = chosen.corner, chosen.side_px
    piece = np.rot90(filled[top : top + side, left : left + side], chosen.quarters)
    return np.asarray(cv2.resize(np.ascontiguousarray(piece), (size_px, size_px)), np.uint8)


def warp_frame(image: Image, affine: FloatArray, window: Window, size: int) -> Image:
    """(size, size, 3) image, black outside of the window; where the frame ends its edge goes on."""
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    shrunk: NDArray[Any] = np.ascontiguousarray(image)
    map_ = affine
    if scale < 0.75:  # average first, so that small hands do not flicker
        height, width = image.shape[:2]
        shrunk = cv2.resize(shrunk, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        ratio = np.array([width, height]) / np.array([shrunk.shape[1], shrunk.shape[0]])
        map_ = np.column_stack([affine[:, :2] * ratio, (ratio - 1) / 2 @ affine[:, :2].T + affine[:, 2]])
    canvas = np.asarray(cv2.warpAffine(shrunk, map_, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    result = np.zeros_like(canvas)
    x0, y0, x1, y1 = window
    result[y0:y1, x0:x1] = canvas[y0:y1, x0:x1]
    return result


def coarse_frame_segments(
    segmentation: NDArray[np.uint8], affine: FloatArray, window: Window, size: int, stride: int
) -> NDArray[np.uint8]:
    """(G, G) what the middle of each cell shows: 1 a hand or arm, 2 something held, 0 the rest."""
    warped = cv2.warpAffine(np.ascontiguousarray(segmentation), affine, (size, size), flags=cv2.INTER_NEAREST)
    inside = np.zeros((size, size), np.uint8)
    x0, y0, x1, y1 = window
    inside[y0:y1, x0:x1] = np.asarray(warped, np.uint8)[y0:y1, x0:x1]
    coarse = inside[stride // 2 :: stride, stride // 2 :: stride]
    hand = (coarse >= HAND_CODE) & (coarse < OBJECT_CODE)
    held = (coarse >= OBJECT_CODE) & (coarse < OTHER_CODE)
    return (hand + 2 * held).astype(np.uint8)


def changed(image: Image, changes: PixelChanges) -> Image:
    """(H, W, 3) the image in other light, erased in places and seen by a worse camera."""
    return degrade(erase(change_colour(image, changes.colours), changes.patches), changes.degrading)


def change_colour(image: Image, colours: Colours) -> Image:
    """(H, W, 3) uint8 RGB -> the same with other light, white balance, contrast, saturation and hue."""
    if colours.order is None:  # two passes over the image
        image = np.asarray(cv2.transform(image, (colours.mix @ colours.hue).astype(np.float32)))
        return _with_levels(image, colours, colours.contrast)
    plain = Colours(colours.mix, colours.hue, 1.0, 1.0, 0.0, np.ones(3), 1.0, None)
    steps: dict[int, Callable[[Image], Image]] = {
        LEVELS: lambda image: _with_levels(image, colours, 1.0),
        CONTRAST: lambda image: _with_levels(image, plain, colours.contrast),
        MIX: lambda image: np.asarray(cv2.transform(image, colours.mix)),
        HUE: lambda image: np.asarray(cv2.transform(image, colours.hue)),
    }
    for step in colours.order:
        image = steps[step](image)
    return image


def _with_levels(image: Image, colours: Colours, contrast: float) -> Image:
    """Every channel by a table: exponent, gain and offset, then the distance from the image's mean grey."""
    levels = 255 * (np.arange(256) / 255) ** colours.gamma * colours.gain + colours.offset
    table = levels[:, None] * colours.channel
    if contrast != 1:
        middle = float(np.asarray(cv2.mean(image)[:3]) @ LUMA)
        table = middle + contrast * (table - middle)
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None]))


def erase(image: Image, patches: Sequence[OccludingPatch]) -> Image:
    """The image behind patches."""
    if not patches:
        return image
    image = image.copy()
    for patch in patches:
        image[patch.place] = patch.pixels
    return image


def degrade(image: Image, degrading: Degrading) -> Image:
    """(H, W, 3) uint8 -> the same through a worse camera: fewer pixels, blur, noise, JPEG."""
    height, width = image.shape[:2]
    if degrading.coarse_px is not None:
        small = cv2.resize(image, degrading.coarse_px, interpolation=cv2.INTER_AREA)
        way = cv2.INTER_NEAREST if degrading.blocks else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(small, (width, height), interpolation=way))
    if degrading.blur_px is not None:
        image = _blurred(image, degrading.blur_px, degrading.motion_rad)
    if degrading.noise is not None:
        noise = _noise(height, width, degrading.noise)
        if degrading.shot is not None:
            light = np.sqrt(np.arange(256, dtype=np.float32) / 255) * np.float32(degrading.shot.sigma)
            noise = noise + cv2.LUT(image, light) * _noise(height, width, Noise(degrading.shot.corner, 1.0))
        image = np.asarray(cv2.add(image, np.rint(noise).astype(np.int16), dtype=cv2.CV_8U))
    if degrading.quality is not None:
        packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, degrading.quality])[1]
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_UNCHANGED))
    return image


def _noise(height: int, width: int, noise: Noise) -> Image:
    """(height, width, 3) float32."""
    top, left = noise.corner
    return np.asarray(noise_wall()[top : top + height, left : left + width] * np.float32(noise.sigma))


def _blurred(image: Image, sigma_px: float, motion_rad: float | None) -> Image:
    """Out of focus, or moved along a line while the shutter was open."""
    if motion_rad is None:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px))
    return np.asarray(cv2.filter2D(image, -1, motion_kernel(sigma_px, motion_rad)))


def without_front(image: Image, front: NDArray[np.bool_], cells: int = 16) -> Image:
    """(H, W, 3) image whose `front` (H, W) is replaced by colours from around it, without detail."""
    hidden = front.view(np.uint8)
    size = (cells, cells)
    share = 1 - cv2.resize(hidden * np.uint8(255), size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    bare = cv2.copyTo(image, 1 - hidden)
    colour = cv2.resize(bare, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    near: NDArray[Any] = colour
    near_share: NDArray[Any] = share
    for _ in range(4):  # spread inwards; cells that know their colour keep it
        near, near_share = cv2.blur(near, (5, 5)), cv2.blur(near_share, (5, 5))
        near, near_share = np.where(share[..., None] > 0.5, colour, near), np.where(share > 0.5, share, near_share)
    fill = near / np.maximum(near_share, 1e-3)[..., None]
    fill = cv2.resize(fill.clip(0, 255).astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(fill, cv2.dilate(hidden, _AROUND), image.copy()))


def paste(image: Image, keep: NDArray[np.uint8], background: Image) -> Image:
    """`image` where `keep` (H, W) is 1 and `background` where it is 0, with an edge of about a pixel."""
    alpha = cv2.GaussianBlur(keep * np.uint8(255), (3, 3), 0)[..., None].astype(np.uint16)
    mixed = image * alpha + background * (255 - alpha) + 127
    return (mixed // 255).astype(np.uint8)
