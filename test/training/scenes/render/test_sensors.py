from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.geometry.camera import project
from prehend.types import Camera
from prehend_training.scenes.appearance.lighting import (
    ambient_of,
    brightness,
    fitted,
    irradiance_matrices,
    sample_lighting,
    sphere,
)
from prehend_training.scenes.camera.depth_sensor import DepthSensor, returned_light, sample_sensor, sense
from prehend_training.scenes.camera.effects import CameraEffects, develop, sample_effects
from prehend_training.scenes.camera.lens import Lens, pixels

SIZE = 64
BRIGHT = np.full((SIZE, SIZE), 0.5, np.float32)
STILL = DepthSensor(error_px=0.0, window_px=0.0)


def flat(depth_m):
    return np.full((SIZE, SIZE), depth_m, np.float32)


def irradiance(ambient, normals):
    homogeneous = np.concatenate([normals, np.ones((len(normals), 1))], 1)
    return np.einsum("ni,cij,nj->nc", homogeneous, irradiance_matrices(ambient), homogeneous)


def test_light_of_one_colour_from_everywhere_lights_every_side_the_same():
    ambient = ambient_of(np.full((len(sphere()), 3), [0.2, 0.5, 0.9]), [])
    assert np.allclose(irradiance(ambient, sphere()), [0.2, 0.5, 0.9], rtol=0.02)


def test_irradiance_is_the_integral_of_the_light_above_a_surface():
    up = np.array([0.0, -1.0, 0.0])
    radiance = 0.5 + 0.5 * (sphere() @ up)[:, None] * np.ones(3)
    exact = [
        (np.maximum(sphere() @ normal, 0)[:, None] * radiance).mean(0) * 4
        for normal in (up, -up, np.array([1.0, 0, 0]))
    ]
    found = irradiance(ambient_of(radiance, []), np.stack([up, -up, np.array([1.0, 0, 0])]))
    assert np.allclose(found, exact, atol=0.02)


def test_lightings_are_about_equally_bright_and_never_dark_light():
    levels = []
    for seed in range(60):
        lighting = sample_lighting(np.random.default_rng(seed))
        levels.append(brightness(lighting, np.array([0, 0, 0.6])))
        assert np.linalg.norm(lighting.sun) == pytest.approx(1)
        assert lighting.ambient.shape == (9, 3) and len(lighting.lamps_m) == len(lighting.lamp_colours) <= 2
        assert (lighting.sun_colour >= 0).all() and (irradiance(lighting.ambient, sphere()) > -0.1).all()
    assert 0.6 < np.mean(levels) < 1.1 and np.std(np.log(levels)) < 0.3


def test_light_takes_on_the_colour_of_the_background():
    lighting = replace(sample_lighting(np.random.default_rng(3)), follow=1.0)
    red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in ([180, 90, 60], [60, 90, 180]))
    warm, cold = (fitted(lighting, picture, np.eye(3)).ambient[0] for picture in (red, blue))
    assert warm[0] / warm[2] > 1.1 * cold[0] / cold[2]
    dark = fitted(lighting, red // 4, np.eye(3))
    assert dark.ambient[0].mean() < 0.8 * warm.mean()
    assert np.array_equal(fitted(replace(lighting, follow=0.0), red, np.eye(3)).ambient, lighting.ambient)


def test_depths_are_whole_steps_of_disparity():
    sensor = replace(STILL, step_px=1 / 8)
    ramp = np.tile(np.linspace(0.4, 1.5, SIZE, dtype=np.float32), (SIZE, 1))
    seen = sense(ramp, BRIGHT, 50.0, sensor)
    steps = sensor.focal_px * sensor.baseline_m / (seen[seen > 0] / 1000) * 8
    assert (seen > 0).mean() > 0.9
    assert np.abs(steps - np.round(steps)).max() < 0.3  # millimetres are whole, too
    assert len(np.unique(seen)) < SIZE * 0.9 * 5
    assert np.abs(seen[seen > 0] / 1000 - ramp[seen > 0]).max() < 1.5**2 / (sensor.focal_px * 0.05) / 8


def test_errors_grow_with_the_square_of_the_distance():
    spread = [sense(flat(z), BRIGHT, 300.0, replace(STILL, error_px=0.1)).astype(float).std() for z in (0.5, 1.0, 2.0)]
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.35)
    assert spread[2] / spread[1] == pytest.approx(4, rel=0.35)


def test_what_the_second_imager_does_not_see_has_no_depth():
    depth = flat(1.5)
    depth[20:40, 30:50] = 0.5
    seen = sense(depth, BRIGHT, 300.0, STILL)
    band = 300 * 0.05 * (1 / 0.5 - 1 / 1.5)  # difference of disparities, left of what is near
    assert (seen[30, 30 - int(band) + 2 : 29] == 0).all()
    assert (seen[30, 52:] > 0).all() and (seen[5] > 0).all() and (seen[30, 31:49] > 0).all()


def test_near_things_grow_and_too_near_dark_or_far_ones_are_lost():
    depth = flat(1.5)
    depth[20:40, 30:50] = 0.5
    grown = sense(depth, BRIGHT, 600.0, replace(STILL, window_px=2.0))
    assert grown[30, 51] == pytest.approx(500, abs=5)
    assert (sense(flat(0.15), BRIGHT, 300.0, STILL) == 0).all()
    assert (sense(flat(9.0), BRIGHT, 300.0, STILL) == 0).all()
    assert (sense(flat(0.6), 0 * BRIGHT, 300.0, STILL) == 0).all()
    assert (sense(flat(0), BRIGHT, 300.0, replace(STILL, wall_m=3.0)) > 2500).all()


def test_dark_steep_and_mirroring_surfaces_send_little_back():
    depth, facing = flat(0.5), np.tile(np.float32([0, 0, -1]), (SIZE, SIZE, 1))
    steep = np.tile(np.float32([0.995, 0, -0.1]), (SIZE, SIZE, 1))
    light, dark = (np.full((SIZE, SIZE, 3), shade, np.uint8) for shade in (150, 20))
    dull, mirror = np.zeros_like(depth), np.ones_like(depth)
    full = returned_light(depth, facing, light, dull)
    for less in (
        returned_light(depth, facing, dark, dull),
        returned_light(depth, steep, light, dull),
        returned_light(depth, facing, light, mirror),
    ):
        assert (less < 0.3 * full).all()


def test_sensors_are_repeatable_and_differ():
    sensor = sample_sensor(np.random.default_rng(1))
    assert np.array_equal(sense(flat(0.7), BRIGHT, 300.0, sensor), sense(flat(0.7), BRIGHT, 300.0, sensor))
    other = replace(sensor, seed=sensor.seed + 1)
    assert not np.array_equal(sense(flat(0.7), BRIGHT, 300.0, sensor), sense(flat(0.7), BRIGHT, 300.0, other))


def test_where_light_is_equal_pictures_are_equal_noise_and_all():
    rng = np.random.default_rng(2)
    first = rng.uniform(0, 1, (SIZE, SIZE, 3)).astype(np.float32)
    second = first.copy()
    second[:, 40:] = 0.9
    effects = replace(sample_effects(rng), quality=0, motion_px=np.zeros(2), depth_blur=0.0, blur_px=0.5, seed=4)
    a, b = (develop(picture, flat(0.5), effects) for picture in (first, second))
    assert np.array_equal(a[:, :34], b[:, :34]) and not np.array_equal(a, b)


def test_bright_light_burns_out_and_noise_follows_the_photons():
    assert (develop(np.full((SIZE, SIZE, 3), 1.5, np.float32), flat(0.5), CameraEffects()) == 255).all()
    effects = CameraEffects(shot_noise=0.02, read_noise=0.001)
    levels = [develop(np.full((SIZE, SIZE, 3), light, np.float32), flat(0.5), effects) for light in (0.04, 0.64)]
    spread = [((level / 255.0) ** 2).std() for level in levels]
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.2)


def test_only_what_is_out_of_focus_is_blurred_by_depth():
    edge = np.zeros((SIZE, SIZE, 3), np.float32)
    edge[:, ::4] = 1
    effects = CameraEffects(focus_m=0.5, depth_blur=4.0)
    sharp, soft = (develop(edge, flat(z), effects).astype(float).std() for z in (0.5, 5.0))
    assert soft < 0.5 * sharp


def test_lenses_agree_with_the_library_and_never_fold():
    K = np.array([[400.0, 0, 320], [0, 410.0, 240], [0, 0, 1]])
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-0.4, 0.4, (50, 2)), np.ones((50, 1))], 1) * rng.uniform(0.3, 2, (50, 1))
    for model, values in (("plumb_bob", [-0.3, 0.1, 0.002, -0.001, 0.0]), ("equidistant", [-0.1, 0.05, -0.02, 0.0])):
        camera = Camera(K, 640, 480, np.array(values), model)
        assert np.allclose(pixels(points, camera), project(points, camera), atol=1e-6)
    barrel = Camera(K, 640, 480, np.array([-0.35, 0.0, 0, 0, 0]))
    away = np.array([[r, 0, 1.0] for r in np.linspace(0, 5, 60)])
    assert (np.diff(Lens.of(barrel).plane(away)[:, 0]) > 0).all()
    with pytest.raises(InvalidInput, match="tilted"):
        Lens.of(Camera(K, 640, 480, np.array([0.0] * 12 + [0.01, 0.0]), "rational_polynomial"))
