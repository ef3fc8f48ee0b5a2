"""Light in spherical harmonics adds up as light does, and scenes are lit about alike."""

from dataclasses import replace

import numpy as np
import pytest

from prehend_training.scenes.appearance.lighting import (
    MAX_LAMPS,
    Lobe,
    ambient_of,
    fitted,
    harmonics,
    irradiance_matrices,
    sample_lighting,
    scaled,
    sphere,
)

SEEDS = range(60)


def many(**options):
    return [sample_lighting(np.random.default_rng(seed), **options) for seed in SEEDS]


def on_surfaces(ambient, normals):
    """(N, 3) light on surfaces with these normals."""
    one = np.c_[normals, np.ones(len(normals))]
    return np.stack([np.einsum("ni,ij,nj->n", one, M, one) for M in irradiance_matrices(ambient)], 1)


def test_harmonics_are_orthonormal():
    basis = harmonics(sphere())
    np.testing.assert_allclose(basis.T @ basis * (4 * np.pi / len(basis)), np.eye(9), atol=0.02)


def test_directions_are_spread_evenly():
    directions = sphere()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(directions.mean(0), 0, atol=0.01)
    np.testing.assert_allclose(directions.T @ directions / len(directions), np.eye(3) / 3, atol=0.01)


def test_a_surface_is_lit_by_what_it_faces():
    """Light of half a sphere: the surface that faces it has nearly all, the one that turns away nearly none."""
    up = np.array([0, 0, 1.0])
    ambient = ambient_of(np.repeat((sphere() @ up > 0)[:, None].astype(float), 3, 1), [])
    facing, level, away = on_surfaces(ambient, np.array([up, [1.0, 0, 0], -up]))[:, 0]
    assert facing == pytest.approx(1, abs=0.08) and level == pytest.approx(0.5, abs=0.05) and abs(away) < 0.08


def test_bright_spots_add_to_the_light():
    base = np.full((len(sphere()), 3), 0.3)
    spots = [Lobe(np.array([0, 0, 1.0]), np.array([2.0, 1, 0]), 8.0), Lobe(np.array([1.0, 0, 0]), np.ones(3), 4.0)]
    apart = [ambient_of(0 * base, [spot]) for spot in spots]
    np.testing.assert_allclose(ambient_of(base, spots), ambient_of(base, []) + sum(apart), atol=1e-9)
    assert on_surfaces(apart[0], np.array([[0, 0, 1.0]]))[0] == pytest.approx(apart[0][0] * [1, 1, 1] * 1.0, abs=1.0)


def test_light_is_never_negative_and_directions_are_unit_vectors():
    for one in many():
        assert np.linalg.norm(one.sun) == pytest.approx(1) and (one.sun_colour >= 0).all()
        assert len(one.lamps_m) == len(one.lamp_colours) <= MAX_LAMPS and (one.lamp_colours >= 0).all()
        assert (one.ambient[0] > 0).all() and 0 < one.softness_m < 0.05
        assert 0 <= one.crevices <= 1 and 0 <= one.follow <= 1


@pytest.mark.parametrize("up", [(0, -1, 0), (0, 0, 1), (1, 0, 0)])
def test_lamps_and_skies_are_above(up):
    centre = np.array([0.1, -0.2, 0.9])
    lights = many(up=np.array(up, float), centre_m=centre)
    lamps = [(lamp - centre) @ up for one in lights for lamp in one.lamps_m]
    assert lamps and np.mean(np.array(lamps) > -0.3) > 0.95
    suns = np.array([one.sun @ np.array(up, float) for one in lights])
    assert (suns > 0).mean() > 0.6


@pytest.mark.parametrize("factor", [0.5, 2.0, np.array([1.0, 0.5, 2.0])])
def test_scaled_light_is_scaled_everywhere(factor):
    for one in many()[:10]:
        twice = scaled(one, factor)
        normals = sphere()[::20]
        np.testing.assert_allclose(on_surfaces(twice.ambient, normals), on_surfaces(one.ambient, normals) * factor)
        np.testing.assert_allclose(twice.sun_colour, one.sun_colour * factor)
        np.testing.assert_allclose(twice.lamp_colours, one.lamp_colours * factor)


GREY = np.full((40, 60, 3), 114, np.uint8)
"""0.2 of white, a well exposed photograph."""


def test_light_comes_from_where_the_background_is_bright():
    picture = GREY.copy()
    picture[:, :30], picture[:, 30:] = 20, 250  # bright on the right
    one = replace(many()[0], follow=1.0)
    lit = on_surfaces(fitted(one, picture, np.eye(3)).ambient, np.array([[1.0, 0, 0], [-1, 0, 0]])).sum(1)
    plain = on_surfaces(one.ambient, np.array([[1.0, 0, 0], [-1, 0, 0]])).sum(1)
    assert lit[0] / lit[1] > plain[0] / plain[1]


def test_a_turned_camera_turns_the_light_with_it():
    picture = GREY.copy()
    picture[:, :30], picture[:, 30:] = 20, 250
    one = replace(many()[0], follow=1.0, ambient=ambient_of(np.ones((len(sphere()), 3)), []))
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    here, there = fitted(one, picture, np.eye(3)), fitted(one, picture, turn)
    normals = sphere()[::11]
    np.testing.assert_allclose(
        on_surfaces(there.ambient, normals @ turn), on_surfaces(here.ambient, normals), atol=0.03
    )


@pytest.mark.parametrize("value", [0, 255])
def test_a_background_of_one_colour_leaves_light_finite(value):
    for one in (replace(light, follow=1.0) for light in many()[:6]):
        fit = fitted(one, np.full((10, 10, 3), value, np.uint8), np.eye(3))
        assert np.isfinite(fit.ambient).all() and np.isfinite(fit.sun_colour).all() and fit.ambient[0].min() > 0
