"""Solids at random: members of the catalogue at believable sizes, and families of forms that are in no catalogue.

A member of a family keeps the id, the paints and the symmetry of the catalogue's object that it is a kind of.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.asset_split import families_in_split, things_in_split
from prehend_training.objects.catalogue import catalogue
from prehend_training.objects.shapes.mesh import smooth_curve
from prehend_training.objects.shapes.parts import Part
from prehend_training.objects.shapes.parts_round import Revolve, Tube, Zone
from prehend_training.objects.solid import Form, Solid

Array = NDArray[np.floating]

_FAMILY_SHARE, _MEMBERS = 0.2, 64


def sample_solid(rng: np.random.Generator) -> Solid:
    """A solid of the catalogue or one of a family, stretched within what is believable."""
    if rng.random() < _FAMILY_SHARE and families_in_split():
        solid = _member(int(rng.integers(len(FAMILIES))), int(rng.integers(_MEMBERS)))
    else:
        solids = catalogue()
        solid = solids[str(rng.choice(things_in_split(sorted(solids))))]
    return solid.stretched(solid.stretch.sample(rng))


@lru_cache(maxsize=6 * 64)
def _member(family: int, number: int) -> Solid:
    """A member of a family, always the same for a number: to make its mesh takes as long as to draw it ten times."""
    return FAMILIES[family](np.random.default_rng([1618, family, number]))


def random_bottle(rng: np.random.Generator) -> Solid:
    """A bottle, jar, vase or knob of a random turned form."""
    height, knots = rng.uniform(0.05, 0.26), int(rng.integers(3, 7))
    radii = np.exp(np.clip(rng.normal(np.log(0.026), 0.45, knots), np.log(0.006), np.log(0.048)))
    radii = np.convolve(np.pad(radii, 1, "edge"), [0.2, 0.6, 0.2], "valid")
    levels = np.linspace(-height / 2, height / 2, 13)
    smooth = np.interp(levels, np.linspace(levels[0], levels[-1], knots), radii)
    first, last = (2, 8) if rng.random() < 0.5 else (3, 11)
    label = Zone(float(levels[first]), float(levels[last]), "label", "wrap")
    cap = Zone(float(levels[11]), float(levels[12]), "cap", None)
    return _like("bottle", _turned(np.stack([smooth, levels], 1), zones=(label, cap)))


def random_box(rng: np.random.Generator) -> Solid:
    """A carton of any proportions that a hand can hold."""
    carton = catalogue()["box"]
    size = np.exp(rng.uniform(np.log(0.015), np.log([0.16, 0.09, 0.22])))
    return carton.stretched(size / carton.extents_m)


def random_can(rng: np.random.Generator) -> Solid:
    """A tin, a drink can or a canister: any width and height, the same rim above and below."""
    radius, half = np.exp(rng.uniform(np.log(0.02), np.log(0.05))), np.exp(rng.uniform(np.log(0.015), np.log(0.1)))
    neck, slope = radius * rng.uniform(0.75, 1.03), rng.uniform(0.002, 0.3 * half)
    lower = np.array([[0.94 * neck, 1 - 0.002 / half], [neck, 1.0], [radius, 1 - slope / half]]) * [1, half]
    profile = np.concatenate([lower * [1, -1], lower[::-1]])
    label = Zone(-half + slope, half - slope, "label", "wrap")
    return _like("can", _turned(profile, zones=(label,), middle_m=0.002))


def random_mug(rng: np.random.Generator) -> Solid:
    """A mug or a cup of any taper and belly, its handle as high as it can be."""
    radius, half = rng.uniform(0.028, 0.048), rng.uniform(0.028, 0.06)
    levels = np.linspace(-1, 1, 7)
    side = radius * (1 + rng.uniform(-0.05, 0.2) * levels + rng.uniform(-0.1, 0.12) * (1 - levels**2))
    outer = np.stack([side, half * levels], 1)
    wall = rng.uniform(0.0025, 0.005)
    inner = outer[::-1] - [wall, 0]
    inner[-1, 1] += wall
    label = Zone(-0.9 * half, 0.9 * half, "body", "mug")
    body = _turned(np.concatenate([outer, inner]), zones=(label,), hollow=True)
    reach, rise = rng.uniform(0.020, 0.034), half * rng.uniform(0.45, 0.75)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    start = float(np.interp(rise, outer[:, 1], outer[:, 0])) - wall / 2
    foot = float(np.interp(-rise, outer[:, 1], outer[:, 0])) - wall / 2
    lean = foot + (start - foot) * (np.sin(angle) + 1) / 2
    path = np.stack([lean + reach * np.cos(angle), 0 * angle, rise * np.sin(angle)], 1)
    handle = Tube(*_PLAIN, "body", None, path, np.full(13, rng.uniform(0.0045, 0.007)), False, 12)
    return _like("mug", body, handle)


def random_fruit(rng: np.random.Generator) -> Solid:
    """Something that grew: round, long or with a neck, with a stalk."""
    radius, half = rng.uniform(0.018, 0.045), np.exp(rng.uniform(np.log(0.8), np.log(1.9)))
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    height = np.sin(angle)
    neck = (
        1 - rng.uniform(0, 0.6) * np.clip(height + 0.4, 0, 1.4) ** 2 / 2 + rng.uniform(0, 0.25) * np.clip(-height, 0, 1)
    )
    profile = radius * np.stack([np.cos(angle) * neck, half * height], 1)
    body = _turned(profile[1:-1], label="fruit", ends_m=(profile[0, 1], profile[-1, 1]))
    top = profile[-1, 1]
    stalk = np.array([[0, 0, top - 0.004], [0, 0, top + 0.3 * radius + 0.004]])
    return _like(
        str(rng.choice(["apple", "pear"])),
        body,
        Tube(*_PLAIN, "stalk", None, stalk, np.array([0.0016, 0.0019]), False, 8),
    )


def random_tool(rng: np.random.Generator) -> Solid:
    """A handle with a blade, spike, brush or bit on its axis."""
    length, blade = rng.uniform(0.06, 0.13), rng.uniform(0.03, 0.14)
    levels = np.linspace(0, length, 6)
    knots = rng.uniform(0.0065, 0.0175, 6)
    grip = np.stack([np.convolve(np.pad(knots, 1, "edge"), [0.25, 0.5, 0.25], "valid"), levels], 1)
    smooth = smooth_curve(grip, 3)
    rubber = Zone(float(levels[1]), float(levels[4]), "grip", "grip")
    handle = _turned(smooth, zones=(rubber,), paint="body")
    thick = rng.uniform(0.0018, 0.005)
    tip = thick * rng.choice([0.3, 1.0, 1.5])
    shaft = np.array([[tip, -blade], [max(tip, thick), -0.85 * blade], [thick, -0.7 * blade], [thick, 0.005]])
    return _like("screwdriver", handle, _turned(shaft, paint="blade", segments=14))


_PLAIN = (np.eye(3), np.zeros(3), np.ones(3))
FAMILIES: tuple[Callable[[np.random.Generator], Solid], ...] = (
    random_bottle, random_box, random_can, random_mug, random_fruit, random_tool,
)  # fmt: skip


def _turned(
    points: Array,
    *,
    zones: tuple[Zone, ...] = (),
    paint: str = "body",
    label: str | None = None,
    hollow: bool = False,
    segments: int = 28,
    middle_m: float = 0.0,
    ends_m: tuple[float, float] | None = None,
) -> Revolve:
    """A turned body through (radius, height) points from its foot up; `middle_m`: how deep its ends are dished."""
    low, high = (points[0, 1] + middle_m, points[-1, 1] - middle_m) if ends_m is None else ends_m
    inner = points
    if middle_m:  # down from the rim before the middle
        first, last = points[0] * [0.93, 1] + [0, middle_m], points[-1] * [0.93, 1] - [0, middle_m]
        inner = np.concatenate([[first], points, [last]])
    profile = np.concatenate([[[0.0, low]], inner, [[0.0, high]]])
    return Revolve(*_PLAIN, paint, label, profile, hollow, zones, segments)


def _like(object_id: str, *parts: Part) -> Solid:
    """A solid of these parts that is a kind of a catalogue's object."""
    model = catalogue()[object_id]
    form = Form(parts)
    vertices = form.mesh.vertices
    low, high = vertices.min(0), vertices.max(0)
    size = float(np.prod((high - low) / model.extents_m))
    mass = float(np.clip(model.mass_kg * size, 0.005, 1.5))
    return replace(model, extents_m=high - low, center_m=(high + low) / 2, form=form, mass_kg=mass)
