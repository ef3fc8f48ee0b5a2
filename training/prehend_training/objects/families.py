"""Solids at random: members of the catalogue at believable sizes, and bottles that are in no catalogue."""

from dataclasses import replace

import numpy as np

from prehend_training.objects.catalogue import catalogue
from prehend_training.objects.parts_round import Revolve, Zone
from prehend_training.objects.solid import Form, Solid

_BOTTLE_SHARE, _BOX_SHARE = 0.06, 0.06


def sample_solid(rng: np.random.Generator) -> Solid:
    """A solid of the catalogue, stretched within what is believable, or a random bottle or box."""
    kind = rng.random()
    if kind < _BOTTLE_SHARE:
        return random_bottle(rng)
    if kind < _BOTTLE_SHARE + _BOX_SHARE:
        return random_box(rng)
    solids = catalogue()
    solid = solids[str(rng.choice(sorted(solids)))]
    return solid.stretched(solid.stretch.sample(rng))


def random_bottle(rng: np.random.Generator) -> Solid:
    """A bottle, jar, vase or knob of a random turned form; it keeps the name and the symmetry of the catalogue's."""
    height, knots = rng.uniform(0.05, 0.26), int(rng.integers(3, 7))
    radii = np.exp(np.clip(rng.normal(np.log(0.026), 0.45, knots), np.log(0.006), np.log(0.048)))
    radii = np.convolve(np.pad(radii, 1, "edge"), [0.2, 0.6, 0.2], "valid")
    levels = np.linspace(-height / 2, height / 2, 13)
    smooth = np.interp(levels, np.linspace(levels[0], levels[-1], knots), radii)
    profile = np.vstack([[[0.0, levels[0]]], np.stack([smooth, levels], 1), [[0.0, levels[-1]]]])
    wide = 2 * float(smooth.max())
    bottle = catalogue()["bottle"]
    first, last = (2, 8) if rng.random() < 0.5 else (3, 11)
    label = Zone(float(levels[first]), float(levels[last]), "label", "wrap")
    cap = Zone(float(levels[11]), float(levels[12]), "cap", None)
    part = Revolve(np.eye(3), np.zeros(3), np.ones(3), "body", None, profile, False, (label, cap), 28)
    return replace(bottle, extents_m=np.array([wide, wide, height]), form=Form((part,)))


def random_box(rng: np.random.Generator) -> Solid:
    """A carton of any proportions that a hand can hold; it keeps the name and the symmetry of the catalogue's."""
    carton = catalogue()["box"]
    size = np.exp(rng.uniform(np.log(0.015), np.log([0.16, 0.09, 0.22])))
    return carton.stretched(size / carton.extents_m)
