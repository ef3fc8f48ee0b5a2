"""What owns OpenGL: several beside each other, none at all, and a clock that counts."""

import sys

import numpy as np
import pytest
from scene_work import at, ball_at, hand_at, only, seen_from, thing_at

from prehend.errors import MissingDependency, SourceError
from prehend.types import Box
from prehend_training.sample import FrameId
from prehend_training.scenes.render.build import stage
from prehend_training.scenes.render.clock import ProcessorClock
from prehend_training.scenes.render.render import NO_FRAME, SceneRenderer

VIEW = seen_from(120.0, (64, 48))


def scenes():
    return [
        only(hands=(hand_at((0, 0, 0.4)),)),
        only(objects=(thing_at("mug", at(0, 0, 0.4)), ball_at((0.08, 0, 0.5)))),
        only(hands=(hand_at((0.02, 0, 0.3), "fist", "left"),), clutter=(ball_at((-0.05, 0, 0.3)),)),
    ]


def test_two_renderers_by_turns_draw_what_one_draws(renderer):
    expected = [renderer.render(scene, VIEW, maps=True) for scene in scenes()]
    other = SceneRenderer()
    for _ in range(2):
        for scene, before in zip(scenes(), expected, strict=True):
            for one in (renderer, other):
                sample = one.render(scene, VIEW, maps=True)
                assert np.array_equal(sample.image, before.image)
                assert np.array_equal(sample.segmentation, before.segmentation)
                assert np.array_equal(sample.maps.depth_m, before.maps.depth_m)


def test_images_of_several_sizes_by_turns_are_those_of_their_size(renderer):
    scene = scenes()[1]
    sizes = ((64, 48), (48, 64), (17, 33), (64, 48))
    samples = [renderer.render(scene, seen_from(100.0, size), maps=True) for size in sizes]
    for sample, (width, height) in zip(samples, sizes, strict=True):
        assert sample.image.shape == (height, width, 3) and sample.maps.object_amodal.shape == (2, height, width)
    assert np.array_equal(samples[0].image, samples[3].image)


def test_what_maps_are_asked_for_changes_no_image(renderer):
    for scene in scenes():
        plain, mapped = (renderer.render(scene, VIEW, maps=maps) for maps in (False, True))
        assert np.array_equal(plain.image, mapped.image) and plain.maps is None
        for one, other in zip(plain.hands, mapped.hands, strict=True):
            assert np.array_equal(one.visible, other.visible) and one.visible_ratio == other.visible_ratio


def test_the_share_of_a_window_that_faces_cover_is_that_of_its_pixels(renderer):
    ball = ball_at((0.03, -0.01, 0.4), 0.03)
    sample = renderer.render(only(objects=(ball,)), VIEW, maps=True)
    outline = sample.maps.object_amodal[0]
    y, x = np.nonzero(outline)
    window = Box(x.min() - 5.0, y.min() - 3.0, x.max() + 4.0, y.max() + 6.0)
    span = stage(only(objects=(ball,)), [VIEW]).alone[0]
    share = renderer.rasterizer.cover(span, VIEW.camera, VIEW.T_camera_world, window)
    assert share * window.area == pytest.approx(outline.sum(), rel=0.06)
    away = Box(window.x0 + 200, window.y0, window.x1 + 200, window.y1)  # outside of the image
    assert renderer.rasterizer.cover(span, VIEW.camera, VIEW.T_camera_world, away) == 0


def test_samples_are_named_after_their_image_and_view(renderer):
    scene = scenes()[1]
    name = FrameId("scenes", 4, 7, "4-7", 12, "head")
    assert renderer.render(scene, VIEW, name).frame_id == name
    assert renderer.render(scene, VIEW).frame_id == NO_FRAME


def test_without_opengl_the_error_says_so_in_one_line(monkeypatch):
    moderngl = pytest.importorskip("moderngl")

    def no_context(**options):
        raise RuntimeError("no display")

    monkeypatch.setattr(moderngl, "create_context", no_context)
    with pytest.raises(SourceError, match=r"EGL.*no display") as caught:
        _ = SceneRenderer().rasterizer
    assert "\n" not in str(caught.value)


def test_without_moderngl_the_error_names_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(MissingDependency, match="train") as caught:
        _ = SceneRenderer().rasterizer
    assert "\n" not in str(caught.value)


def test_a_renderer_takes_no_hold_of_opengl_before_its_first_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    assert SceneRenderer().gallery.photos == []


def test_a_clock_counts_while_it_runs_part_by_part():
    clock = ProcessorClock()
    with clock.part("before"):
        sum(range(1000))
    assert not clock.spent_s
    clock.running = True
    for _ in range(2):
        with clock.part("work"):
            sum(range(200_000))
    first = clock.spent_s["work"]
    assert first > 0 and set(clock.spent_s) == {"work"}
    with pytest.raises(ValueError, match="lost"), clock.part("work"):
        sum(range(200_000))
        raise ValueError("lost")
    assert clock.spent_s["work"] > first  # also what ended in an error took its time
