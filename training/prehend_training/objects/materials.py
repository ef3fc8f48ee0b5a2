"""How objects look: what each surface is made of, its colour, its print, its shine."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.prints import LABEL_LAYERS, PRINTS, layers_of
from prehend_training.objects.shapes.mesh import Surface
from prehend_training.objects.solid import Paint, Solid

Array = NDArray[np.floating]
Rng = np.random.Generator

_WILD_SHARE = 1 / 8


@dataclass(frozen=True)
class Material:
    """What a paint may be made of.

    Attributes:
        strength, gloss: ranges of how bright and how sharp its highlights are.
        grain: kind of texture where nothing is printed, None for none.
        period_m: how far the grain goes before it comes again.
        grey: share of its colours that are grey; of the others the strength is in `vivid`.
        vivid: range of the saturation of its colours.
        light: range of their largest linear albedo.
        varies: how much a given tint differs from object to object, in the logarithm.
    """

    strength: tuple[float, float]
    gloss: tuple[float, float]
    grain: str | None = None
    period_m: float = 0.1
    grey: float = 0.35
    vivid: tuple[float, float] = (0.4, 0.95)
    light: tuple[float, float] = (0.05, 0.75)
    varies: float = 0.1


MATERIALS: dict[str, Material] = {
    "plastic": Material((0.4, 1.4), (15, 70)),
    "painted": Material((0.6, 1.6), (25, 80), light=(0.05, 0.6)),
    "matte": Material((0.05, 0.4), (4, 12)),
    "rubber": Material((0.1, 0.4), (5, 14), grey=0.75, light=(0.02, 0.35)),
    "clear": Material((1.2, 2.4), (50, 110), grey=0.6, vivid=(0.03, 0.4), light=(0.35, 0.75)),
    "glass": Material((1.4, 2.6), (60, 120), grey=0.7, vivid=(0.02, 0.2), light=(0.40, 0.75)),
    "paper": Material((0.05, 0.5), (4, 20), "paper", 0.08, grey=0.7, vivid=(0.05, 0.5), light=(0.5, 0.85)),
    "cardboard": Material((0.1, 0.7), (5, 25), "paper", 0.12, grey=0.3, light=(0.15, 0.8)),
    "metal": Material((1.0, 2.2), (15, 60), "metal", 0.08, grey=0.6, vivid=(0.1, 0.8), light=(0.3, 0.7)),
    "steel": Material((1.0, 2.4), (20, 80), "metal", 0.06, grey=1.0, light=(0.3, 0.65)),
    "ceramic": Material((0.8, 1.8), (40, 100), grey=0.5, vivid=(0.1, 0.8), light=(0.1, 0.85)),
    "screen": Material((1.2, 2.2), (60, 120), grey=1.0, light=(0.01, 0.04)),
    "wood": Material((0.05, 0.5), (5, 25), "wood", 0.12, grey=1.0, light=(0.6, 1.0)),
    "foam": Material((0.02, 0.15), (3, 8), "foam", 0.06, vivid=(0.3, 0.9), light=(0.2, 0.75)),
    "felt": Material((0.02, 0.15), (3, 8), "foam", 0.03, vivid=(0.3, 0.9), light=(0.1, 0.6)),
    "peel": Material((0.2, 0.8), (10, 40), "fruit", 1.0, grey=0.0, vivid=(0.6, 0.95), light=(0.3, 0.75)),
    "scanned": Material((0.1, 0.9), (6, 40), varies=0.0),
}
"""`scanned` is for imported objects that bring their own colours."""


@dataclass(frozen=True)
class Appearance:
    """How the P surfaces of a solid look; rows are as `Mesh.part` counts.

    Attributes:
        colours: (P, 3) linear albedo; it multiplies the texture's.
        layers: (P,) int, layer of the texture bank, -1 for none.
        tiling: (P, 2) repeats of the texture.
        gloss: (P, 2) specular strength and gloss.
    """

    colours: Array
    layers: NDArray[np.int64]
    tiling: Array
    gloss: Array


def dress(rng: Rng, solid: Solid, first_layer: int) -> Appearance:
    """Colours, prints and shine for an object; one time in eight wildly, so that nobody learns objects by their prints.

    Args:
        rng: of the look alone.
        solid: stretched or not.
        first_layer: where `prints.label_textures` begins in the bank of textures. Layers below it, other images, are
            used by wild objects only.
    """
    if rng.random() < _WILD_SHARE:
        return _wild(rng, solid, first_layer)
    tints = {name: _tint(rng, paint) for name, paint in sorted(solid.paints.items())}
    shines = {name: _shine(rng, paint) for name, paint in sorted(solid.paints.items())}
    prints: dict[str, int] = {}
    for surface in solid.surfaces:  # the same print wherever the same kind is asked for
        kind = _texture(surface, solid.paints[surface.paint])
        if kind is not None and kind not in prints:
            prints[kind] = int(rng.choice(layers_of(kind)))
    colours, layers, tiling, gloss = [], [], [], []
    for surface in solid.surfaces:
        paint = solid.paints[surface.paint]
        kind = _texture(surface, paint)
        own = tints[surface.paint]
        colours.append(np.full(3, rng.uniform(0.75, 0.95)) if kind in PRINTS else own)
        layers.append(-1 if kind is None else first_layer + prints[kind])
        tiling.append(_tiling(surface, paint))
        gloss.append(shines[surface.paint])
    return Appearance(np.array(colours), np.array(layers, np.int64), np.array(tiling), np.array(gloss))


def _texture(surface: Surface, paint: Paint) -> str | None:
    return surface.label if surface.label is not None else MATERIALS[paint.material].grain


def _tiling(surface: Surface, paint: Paint) -> tuple[float, float]:
    """Prints fill their place; grain comes again at its own size, a whole number of times."""
    material = MATERIALS[paint.material]
    if surface.label is not None and surface.label != material.grain:
        return 1.0, 1.0
    across, down = (max(1.0, float(round(size / material.period_m))) for size in surface.size_m)
    return across, down


def _tint(rng: Rng, paint: Paint) -> Array:
    """(3,) linear albedo of a paint."""
    material = MATERIALS[paint.material]
    if paint.tints:
        chosen = np.array(paint.tints[int(rng.integers(len(paint.tints)))])
        return np.clip(
            chosen * np.exp(material.varies * (0.7 * rng.standard_normal(3) + rng.standard_normal())), 0.005, 0.95
        )
    brightest = np.exp(rng.uniform(*np.log(material.light)))
    if rng.random() < material.grey:
        return brightest * (1 - rng.uniform(0, 0.06, 3))
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(*material.vivid), brightest]]], np.float32)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64), 0.005, 0.95)


def _shine(rng: Rng, paint: Paint) -> tuple[float, float]:
    material = MATERIALS[paint.material]
    return float(rng.uniform(*material.strength)), float(np.exp(rng.uniform(*np.log(material.gloss))))


def _wild(rng: Rng, solid: Solid, first_layer: int) -> Appearance:
    """Any image, any colour, any shine on any surface."""
    count = len(solid.surfaces)
    layers = np.where(rng.random(count) < 0.5, rng.integers(first_layer + LABEL_LAYERS, size=count), -1)
    prints = 0.9 * np.exp(rng.normal(0, 0.2, (count, 3)))
    shades = rng.uniform(0, 1, (count, 1)) ** 1.5 * np.exp(rng.normal(0, 0.5, (count, 3)))
    gloss = np.stack([rng.uniform(0, 2.5, count), np.exp(rng.uniform(np.log(4), np.log(80), count))], 1)
    colours = np.clip(np.where(layers[:, None] >= 0, prints, shades), 0.01, 0.95)
    return Appearance(colours, layers, rng.uniform(0.5, 2.5, (count, 2)), gloss)
