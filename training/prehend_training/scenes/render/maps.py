"""Labels of every pixel, from what was drawn."""

import numpy as np
from numpy.typing import NDArray

from prehend_training.sample import Maps
from prehend_training.scenes.camera.depth_sensor import DepthSensor, returned_light, sense
from prehend_training.scenes.render.raster import Picture


def make_maps(
    picture: Picture,
    deoccluded: NDArray[np.uint8],
    outlines: NDArray[np.bool_],
    hands: int,
    focal_px: float,
    sensor: DepthSensor,
) -> Maps:
    """All maps of an image.

    Args:
        picture: what was drawn.
        deoccluded: (H, W, 3) the developed twin.
        outlines: (N, H, W) each labelled hand alone, then each object.
        hands: how many of them are hands.
        focal_px: of the image.
        sensor: the depth camera.
    """
    light = returned_light(picture.depth_m, picture.normals, picture.albedo, picture.shine)
    return Maps(
        deoccluded=deoccluded,
        hand_amodal=outlines[:hands],
        object_amodal=outlines[hands:],
        depth_m=picture.depth_m,
        sensor_depth_mm=sense(picture.depth_m, light, focal_px, sensor),
        normals=np.rint(127 * picture.normals).astype(np.int8),
        albedo=np.ascontiguousarray(picture.albedo),
    )
