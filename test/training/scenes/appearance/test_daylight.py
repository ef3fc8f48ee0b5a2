"""Light against integrals over the sphere, turned worlds, and what each kind of place must have."""

import cv2
import numpy as np
import pytest

from prehend.geometry.rotations import matrix_from_axis_angle
from prehend_training.scenes.appearance import rooms
from prehend_training.scenes.appearance.lighting import (
    Lighting,
    Lobe,
    ambient_of,
    brightness,
    fitted,
    harmonics,
    irradiance_matrices,
    sample_lighting,
    scaled,
    sphere,
)
from prehend_training.scenes.appearance.patterns import Gallery, texture_bank
from prehend_training.scenes.appearance.surface_patterns import (
    blend,
    checks,
    clouds,
    colour,
    gradient,
    noise,
    skin_like,
    stripes,
    wood,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def directions(count=20_000, seed=0):
    """(count, 3) random ones."""
    drawn = rng(seed).standard_normal((count, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def on_surfaces(ambient, normals):
    one = np.c_[normals, np.ones(len(normals))]
    return np.stack([np.einsum("ni,ij,nj->n", one, M, one) for M in irradiance_matrices(ambient)], 1)


def lit_by(around=0.3, sun=0.0, lamps=()):
    """Grey light from everywhere, a sun above, lamps as (place, brightness)."""
    ambient = ambient_of(np.full((len(sphere()), 3), around), [])
    places = np.array([place for place, _ in lamps]).reshape(-1, 3)
    colours = np.array([np.full(3, level) for _, level in lamps]).reshape(-1, 3)
    return Lighting(ambient, np.array([0, -1.0, 0]), np.full(3, sun), 0.002, places, colours, 0.8, 1.0)


@pytest.mark.parametrize("narrow", [0.5, 2.0, 4.0])
def test_light_on_a_surface_is_the_sum_over_the_sky_above_it(narrow):
    """Monte Carlo over random directions; three orders of harmonics hold broad lights well, narrow ones less so."""
    base = np.full((len(sphere()), 3), 0.2)
    lobe = Lobe(np.array([0.6, 0, 0.8]), np.array([1.0, 0.5, 0.2]), narrow)
    ways = directions()
    radiance = 0.2 + np.exp(narrow * (ways @ lobe.direction - 1))[:, None] * lobe.colour
    normals = directions(12, 1)
    expected = 4 * np.stack([(np.maximum(ways @ n, 0)[:, None] * radiance).mean(0) for n in normals])
    found = on_surfaces(ambient_of(base, [lobe]), normals)
    assert found == pytest.approx(expected, abs=0.05)


def test_turned_light_lights_turned_surfaces_the_same():
    R = matrix_from_axis_angle(np.array([0.7, -0.4, 1.1]))
    base = np.full((len(sphere()), 3), 0.1)
    spots = [Lobe(d, np.array([1.0, 0.4, 0.1]), n) for d, n in zip(directions(3, 2), (2.0, 5.0, 9.0), strict=True)]
    turned = [spot._replace(direction=R @ spot.direction) for spot in spots]
    normals = directions(30, 3)
    here, there = on_surfaces(ambient_of(base, spots), normals), on_surfaces(ambient_of(base, turned), normals @ R.T)
    assert there == pytest.approx(here, abs=0.06)


def test_harmonics_of_a_direction_and_its_opposite_share_their_even_orders():
    ways = directions(50)
    one, other = harmonics(ways), harmonics(-ways)
    assert np.allclose(one[:, [0, 4, 5, 6, 7, 8]], other[:, [0, 4, 5, 6, 7, 8]]) and np.allclose(
        one[:, 1:4], -other[:, 1:4]
    )
    assert np.allclose((one**2).sum(1), 9 / (4 * np.pi), atol=1e-4)  # Unsoeld's theorem


def test_brightness_adds_up_and_lamps_fall_off_with_the_square():
    centre = np.array([0, 0, 0.6])
    dark = brightness(lit_by(0.3), centre)
    assert dark == pytest.approx(0.3, rel=0.02)
    assert brightness(lit_by(0.3, 0.4), centre) == pytest.approx(dark + 0.5 * 0.4)
    near, far = (brightness(lit_by(0.0, 0.0, [(centre + d * np.eye(3)[1], 1.0)]), centre) for d in (0.5, 1.0))
    assert near == pytest.approx(4 * far)
    assert brightness(scaled(lit_by(0.3, 0.4), 1.7), centre) == pytest.approx(1.7 * (dark + 0.2))


def test_light_is_that_of_its_numbers_and_of_a_usual_level():
    levels = []
    for seed in range(80):
        one, again = (sample_lighting(rng(seed)) for _ in range(2))
        assert np.array_equal(one.ambient, again.ambient) and np.array_equal(one.sun, again.sun)
        levels.append(brightness(one, np.array([0, 0, 0.6])))
    assert np.median(levels) == pytest.approx(0.85, rel=0.1) and max(levels) / min(levels) < 3


def test_a_grey_background_of_usual_brightness_changes_the_colour_of_no_light():
    grey = np.full((20, 30, 3), 114, np.uint8)
    fit = fitted(lit_by(0.3, 0.4), grey, np.eye(3))
    assert np.ptp(fit.sun_colour) < 1e-6 and fit.sun_colour == pytest.approx(0.4, rel=0.05)
    assert np.ptp(fit.ambient[0]) < 1e-6
    brighter = fitted(lit_by(0.3, 0.4), np.full((20, 30, 3), 200, np.uint8), np.eye(3))
    assert brighter.sun_colour.mean() > fit.sun_colour.mean()


@pytest.mark.parametrize("maker", [gradient, clouds, stripes, checks, wood])
def test_patterns_mix_two_colours(maker):
    for seed in range(6):
        picture = maker(rng(seed), 40, 56).reshape(-1, 3).astype(float)
        spread = np.linalg.svd(picture - picture.mean(0), compute_uv=False)
        assert spread[1] < 0.12 * spread[0] + 40  # colours lie on the line between two


def test_noise_is_bounded_finer_with_more_cells_and_of_any_size():
    for size in ((1, 1), (3, 50), (64, 64)):
        field = noise(rng(1), *size)
        assert field.shape == size and np.abs(field).max() <= 1
    rough = [np.abs(np.diff(noise(rng(2), 64, 64, cells, 1), axis=1)).mean() for cells in (2, 8, 32)]
    assert rough == sorted(rough)


def test_a_blend_goes_from_one_colour_to_the_other_and_not_beyond():
    low, high = np.array([10.0, 200, 30]), np.array([250.0, 20, 30])
    mask = np.array([[-1.0, 0.0, 0.25, 1.0, 3.0]])
    mixed = blend(mask, low, high).astype(float)[0]
    assert np.abs(mixed[[0, 1]] - low).max() <= 1 and np.abs(mixed[[3, 4]] - high).max() <= 1
    assert np.abs(mixed[2] - (low + 0.25 * (high - low))).max() <= 1


def test_colours_are_colours_and_skin_like_ones_are_like_skin():
    drawn = np.array([colour(rng(seed)) for seed in range(200)])
    assert drawn.min() >= 0 and drawn.max() <= 255 and drawn.mean(1).std() > 40
    assert (np.ptp(drawn, axis=1) < 40).mean() > 0.4  # mostly dull
    skin = np.array([skin_like(rng(seed)) for seed in range(200)])
    assert skin.min() >= 0 and skin.max() <= 255
    assert ((skin[:, 0] >= skin[:, 1] - 16) & (skin[:, 1] >= skin[:, 2] - 16)).mean() > 0.9


def test_light_in_a_made_up_room_fades_from_one_place():
    flat = np.full((60, 80, 3), 160, np.uint8)
    for seed in range(6):
        shown = rooms.lit(rng(seed), flat).astype(float).mean(2)
        smooth = cv2.GaussianBlur(shown, (0, 0), 6)
        top = np.unravel_index(smooth.argmax(), smooth.shape)
        y, x = np.mgrid[:60, :80]
        far = np.hypot((x - top[1]) / 80, (y - top[0]) / 60)
        assert smooth[far < 0.15].mean() >= smooth[far > 0.5].mean() and (flat == 160).all()


@pytest.mark.parametrize("name", ["room", "desk", "shelf", "screen"])
def test_made_up_places_have_edges_and_areas_as_photographs_do(name):
    """Steps between neighbours are mostly small and sometimes large; nothing is noise or one colour."""
    made = [getattr(rooms, name)(rng(seed), 96, 128).astype(float).mean(2) for seed in range(6)]
    steps = np.abs(np.diff(made, axis=2)).reshape(6, -1)
    assert np.median(steps) < 8 and np.median(np.quantile(steps, 0.995, axis=1)) > 12
    assert np.min([grey.std() for grey in made]) > 6


def test_what_photographs_there_are_changes_no_texture_of_another_kind(tmp_path):
    photo = np.zeros((320, 320, 3), np.uint8)
    photo[..., 1] = 250
    cv2.imwrite(str(tmp_path / "green.png"), photo)
    bank, other = texture_bank(Gallery(tmp_path, 1.0), 3, 20, 24), texture_bank(Gallery(), 3, 20, 24)
    cut = np.array([tile[..., 1].min() > 120 and tile[..., 0].max() < 60 for tile in bank])
    assert 0.05 < cut.mean() < 0.6 and bank.shape == other.shape == (20, 24, 24, 3)
    assert not any(tile[..., 1].min() > 120 and tile[..., 0].max() < 60 for tile in other)
