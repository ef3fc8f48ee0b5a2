"""From a scene to an image with labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prehend.types import Box, Camera
from prehend_training.objects.prints import label_textures
from prehend_training.sample import HAND_CODE, FrameId, HandLabel, Maps, Sample
from prehend_training.scenes.appearance.lighting import fitted
from prehend_training.scenes.appearance.patterns import Gallery, texture_bank
from prehend_training.scenes.camera.depth_sensor import sample_sensor
from prehend_training.scenes.camera.effects import CameraEffects, develop
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.sampling import sample_scene, sample_view
from prehend_training.scenes.layout.scene import Hand, Scene, SceneCamera, true_points
from prehend_training.scenes.layout.surroundings import TEXTURES
from prehend_training.scenes.people.body import PARTS
from prehend_training.scenes.render.build import stage
from prehend_training.scenes.render.clock import ProcessorClock
from prehend_training.scenes.render.labels import hand_label, hand_points, in_camera, object_label
from prehend_training.scenes.render.maps import make_maps
from prehend_training.scenes.render.raster import Picture, Rasterizer, StagedScene

Array = NDArray[np.floating]

NO_FRAME = FrameId("scenes", 0, 0)
"""Of images that nobody needs to find again."""
_TEXTURE_SEED = 5
_ATTEMPTS, _LEAST_VISIBLE = 4, 0.2
"""Scenes in which a hand is hidden nearly whole are drawn anew."""


class SceneRenderer:
    """Draws scenes. Make one per process; it takes hold of OpenGL when the first image is drawn.

    Args:
        photos: folder with photographs for backgrounds and textures, None for none.
        photo_share: share of backgrounds cut from them.

    Attributes:
        clock: how long which part of the work took.
    """

    def __init__(self, photos: Path | None = None, photo_share: float = 0.6):
        self.gallery = Gallery(photos, photo_share)
        self.clock = ProcessorClock()
        self._rasterizer: Rasterizer | None = None

    @property
    def rasterizer(self) -> Rasterizer:
        """The owner of the OpenGL context, made when first needed."""
        if self._rasterizer is None:
            textures = texture_bank(self.gallery, _TEXTURE_SEED, TEXTURES)
            prints = label_textures(size=textures.shape[1])
            self._rasterizer = Rasterizer(np.concatenate([textures, prints]))
        return self._rasterizer

    def render(
        self,
        scene: Scene,
        view: SceneCamera,
        frame_id: FrameId = NO_FRAME,
        limits: Box | None = None,
        maps: bool = False,
    ) -> Sample:
        """Draw a scene and label it.

        Args:
            scene: what to draw.
            view: the camera.
            frame_id: copied into the sample.
            limits: part of the image that the sensor saw; the rest is black and nothing there is visible.
            maps: also make the labels of every pixel, which takes about half as long again.
        """
        return self.render_views(scene, [view], frame_id, limits, maps)[0]

    def render_views(
        self,
        scene: Scene,
        views: Sequence[SceneCamera],
        frame_id: FrameId = NO_FRAME,
        limits: Box | None = None,
        maps: bool = False,
    ) -> list[Sample]:
        """Draw one instant as several cameras see it; the triangles and their shadows are made once.

        Args:
            scene: what to draw.
            views: the cameras; the light takes on the background that the first one sees.
            frame_id: copied into the samples, each with the name of its view.
            limits, maps: as for `render`.
        """
        with self.clock.part("geometry"):
            staged = stage(scene, views)
        with self.clock.part("background"):
            first = self._backdrop(scene, views[0], 0)
            lighting = fitted(scene.lighting, first, views[0].T_camera_world[:3, :3])
        with self.clock.part("shadows"):
            self.rasterizer.load(staged, lighting, maps)
        samples = []
        for k, view in enumerate(views):
            backdrop = first if k == 0 else self._backdrop(scene, view, k)
            name = frame_id.view if len(views) == 1 else view.name
            samples.append(self._sample(scene, view, staged, backdrop, replace(frame_id, view=name), limits, maps))
        return samples

    def _backdrop(self, scene: Scene, view: SceneCamera, number: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng([scene.background_seed, number] if number else scene.background_seed)
        return self.gallery.background(rng, view.camera.height, view.camera.width)

    def _sample(
        self,
        scene: Scene,
        view: SceneCamera,
        staged: StagedScene,
        backdrop: NDArray[np.uint8],
        frame_id: FrameId,
        limits: Box | None,
        maps: bool,
    ) -> Sample:
        with self.clock.part("draw"):
            picture = self.rasterizer.draw(view.camera, view.T_camera_world, backdrop)
        picture = picture if limits is None else _limited(picture, limits)
        with self.clock.part("develop"):
            image = develop(picture.light, picture.depth_m, view.effects)
        with self.clock.part("outlines"):
            outlines = self.rasterizer.outlines(view.camera, view.T_camera_world)
        with self.clock.part("labels"):
            labels = tuple(
                self._hand_label(scene, k, view, staged, picture, outlines[k]) for k in range(len(scene.hands))
            )
            objects = tuple(object_label(thing, view) for thing in scene.objects)
            segmentation = np.where(picture.codes < 0, 0, picture.codes // PARTS).astype(np.uint8)
        sample = Sample(
            image=image if limits is None else image * _inside(limits, *image.shape[:2])[..., None],
            segmentation=segmentation,
            camera=view.camera,
            T_camera_world=view.T_camera_world,
            hands=labels,
            objects=objects,
            maps=None,
            frame_id=frame_id,
        )
        return replace(sample, maps=self._maps(sample, view.effects, picture, outlines, limits)) if maps else sample

    def _hand_label(
        self, scene: Scene, k: int, view: SceneCamera, staged: StagedScene, picture: Picture, outline: NDArray[np.bool_]
    ) -> HandLabel:
        box = Box.around(pixels(hand_points(scene.hands[k], view), view.camera))
        if box.x0 >= 0 and box.y0 >= 0 and box.x1 <= outline.shape[1] - 1 and box.y1 <= outline.shape[0] - 1:
            alone_px = float(outline.sum())
        else:
            alone_px = self.rasterizer.cover(staged.alone[k], view.camera, view.T_camera_world, box) * box.area
        return hand_label(scene.hands[k], HAND_CODE + k, picture, view, outline, alone_px)

    def _maps(
        self, sample: Sample, effects: CameraEffects, picture: Picture, outlines: NDArray[np.bool_], limits: Box | None
    ) -> Maps:
        with self.clock.part("twin"):
            twin = sample.image if picture.twin is None else develop(*picture.twin, effects)
        with self.clock.part("depth sensor"):
            sensor = sample_sensor(np.random.default_rng(effects.seed))
            made = make_maps(picture, twin, outlines, len(sample.hands), float(sample.camera.K[0, 0]), sensor)
        return made if limits is None else _limited_maps(made, limits)


def _inside(limits: Box, height: int, width: int) -> NDArray[np.bool_]:
    x, y = np.arange(width), np.arange(height)[:, None]
    return (x >= limits.x0) & (x <= limits.x1) & (y >= limits.y0) & (y <= limits.y1)


def _limited(picture: Picture, limits: Box) -> Picture:
    """Forget what lies outside the sensor."""
    keep = _inside(limits, *picture.codes.shape)
    return picture._replace(
        codes=np.where(keep, picture.codes, -1),
        depth_m=picture.depth_m * keep,
        normals=picture.normals * keep[..., None],
        albedo=picture.albedo * keep[..., None],
    )


def _limited_maps(maps: Maps, limits: Box) -> Maps:
    keep = _inside(limits, *maps.deoccluded.shape[:2])
    assert maps.object_amodal is not None and maps.sensor_depth_mm is not None
    return replace(
        maps,
        deoccluded=maps.deoccluded * keep[..., None],
        hand_amodal=maps.hand_amodal & keep,
        object_amodal=maps.object_amodal & keep,
        sensor_depth_mm=maps.sensor_depth_mm * keep,
    )


def crop_view(view: SceneCamera, square: Box, size_px: int) -> SceneCamera:
    """The square part of an image, scaled to `size_px` (pixel centres at whole numbers), distorted as the image is."""
    scale = size_px / square.width
    to_crop = np.array(
        [[scale, 0, scale * (0.5 - square.x0) - 0.5], [0, scale, scale * (0.5 - square.y0) - 0.5], [0, 0, 1]]
    )
    old = view.camera
    return replace(
        view, camera=Camera(to_crop @ old.K, size_px, size_px, old.distortion, old.distortion_model, old.estimated)
    )


def crop_sample(renderer: SceneRenderer, seed: int, index: int, size_px: int = 160, maps: bool = False) -> Sample:
    """One hand in a crop of a random camera's image, 1.6 to 2.1 times its box; the same for the same numbers."""
    for attempt in range(_ATTEMPTS):
        sample = _crop_attempt(renderer, seed, index, attempt, size_px, maps)
        if sample.hands[0].visible_ratio > _LEAST_VISIBLE:
            break
    return sample


def _crop_attempt(renderer: SceneRenderer, seed: int, index: int, attempt: int, size_px: int, maps: bool) -> Sample:
    rng = np.random.default_rng([seed, index, 0, attempt])
    with renderer.clock.part("sampling"):
        view = sample_view(rng)
        scene = sample_scene(rng, "crop", view)
    hand = scene.hands[0]
    joints = in_camera(view, true_points(hand, hand.joints_m))
    box = Box.around(pixels(joints, view.camera))
    longer = max(box.width, box.height)
    side = rng.uniform(1.6, 2.1) * longer
    centre = np.array(box.center) + np.clip(rng.normal(0, 0.06, 2), -0.15, 0.15) * longer
    square = Box(*(centre - side / 2), *(centre + side / 2))
    # some crops hang over the edge of the image
    limits = _sensor_edge(rng, size_px) if rng.random() < 0.15 else None
    view = crop_view(_focused(view, [hand]), square, size_px)
    return renderer.render(scene, view, FrameId("scenes", seed, index), limits, maps)


def _focused(view: SceneCamera, hands: Sequence[Hand]) -> SceneCamera:
    """The camera with the first of the hands in focus."""
    if not hands:
        return view
    depth = in_camera(view, true_points(hands[0], hands[0].joints_m))[:, 2].mean()
    return replace(view, effects=replace(view.effects, focus_m=float(max(depth, 0.1))))


def _sensor_edge(rng: np.random.Generator, size_px: int) -> Box:
    cut = np.where(rng.random(4) < rng.uniform(0.2, 1.0), rng.uniform(0, 0.22, 4), 0) * size_px
    return Box(cut[0], cut[1], size_px - 1 - cut[2], size_px - 1 - cut[3])


def frame_sample(
    renderer: SceneRenderer,
    seed: int,
    index: int,
    width_px: int = 320,
    height_px: int | None = None,
    maps: bool = False,
) -> Sample:
    """A whole image with no, one or two hands; the same for the same numbers."""
    height_px = width_px * 3 // 4 if height_px is None else height_px
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, index, 1, attempt])
        with renderer.clock.part("sampling"):
            view = sample_view(rng, width_px, height_px)
            scene = sample_scene(rng, "frame", view)
        view = _focused(view, scene.hands)
        sample = renderer.render(scene, view, FrameId("scenes", seed, index), maps=maps)
        if all(hand.visible_ratio > _LEAST_VISIBLE for hand in sample.hands):
            break
    return sample
