"""Skin: who has which, and its painted texture (albedo and height)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from prehend_training.objects.asset_split import skins_in_split
from prehend_training.scenes.people.skin_lines import freckles, hair, palm_creases, veins
from prehend_training.scenes.people.skin_map import TILE_PX, SkinMap, skin_map, smooth_step

Array = NDArray[np.floating]
Float = NDArray[np.float32]
Rng = np.random.Generator

SKINS = 40
"""How many skins are painted; a person's tint and gloss tell two of the same painting apart."""
HEIGHT_M = 0.003
"""What a texture's alpha spans; 0.5 is the surface of the mesh."""

# display colours (0..255) of the back of the hand and of the palm, from very light to very dark skin
_BACK = np.array(
    [[238, 203, 187], [226, 181, 156], [205, 156, 124], [178, 127, 96], [136, 92, 67], [96, 64, 47], [62, 43, 34]]
)
_PALM = np.array(
    [
        [240, 200, 186],
        [232, 184, 164],
        [218, 168, 143],
        [204, 154, 124],
        [186, 138, 108],
        [164, 122, 97],
        [138, 104, 84],
    ]
)
_POLISH_SHARE = 0.15


@dataclass(frozen=True)
class SkinMaterial:
    """One person's skin.

    Attributes:
        painting: number of its texture, below `SKINS`; it rises with how dark the skin is.
        tint: (3,) factor of the albedo.
        gloss: (3,) specular strength, gloss, how much light bleeds through.
    """

    painting: int
    tint: Array
    gloss: Array


def sample_skin(rng: Rng) -> SkinMaterial:
    """Someone's skin, light and dark ones alike."""
    tint = np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.06))
    paintings = skins_in_split(SKINS)
    gloss = np.array([rng.uniform(0.12, 0.75), np.exp(rng.uniform(np.log(6), np.log(26))), rng.uniform(0.6, 1.2)])
    return SkinMaterial(paintings[int(rng.integers(len(paintings)))], tint, gloss)


def skin_tone(material: SkinMaterial) -> Array:
    """(3,) linear albedo that the back of this skin has about everywhere."""
    return _between(_BACK, (material.painting + 0.5) / SKINS * (len(_BACK) - 1)) ** 2 / 255**2 * material.tint


@dataclass(frozen=True)
class _Traits:
    """What a painting is like.

    Attributes:
        level: 0 very light to 1 very dark.
        back, palm: (3,) linear albedo.
        age: 0..1, how deep wrinkles, veins and sinews are.
        blood: 0..1 how red tips, knuckles and palm are.
        freckles: how many.
        hair: 0..1.
        polish: (3,) linear colour of painted nails, None for bare ones.
    """

    level: float
    back: Array
    palm: Array
    age: float
    blood: float
    freckles: int
    hair: float
    polish: Array | None


def _traits(rng: Rng, number: int) -> _Traits:
    level = (number + rng.uniform(0, 1)) / SKINS
    back, palm = ((_between(table, level * (len(table) - 1)) / 255) ** 2 for table in (_BACK, _PALM))
    undertone = np.exp(rng.normal(0, 1) * np.array([0.01, -0.01, -0.05]) + rng.normal(0, 0.018, 3))
    spotted = rng.random() < 0.4 * (1 - 0.6 * level)
    hairy = rng.random() < 0.45
    polished = not hairy and rng.random() < _POLISH_SHARE / 0.55
    return _Traits(
        level=level,
        back=back * undertone,
        palm=palm * undertone**0.7,
        age=rng.uniform(0, 1) ** 1.3,
        blood=rng.uniform(0.2, 1.0),
        freckles=int(rng.integers(30, 200)) if spotted else int(rng.integers(0, 8)),
        hair=rng.uniform(0.25, 1.0) if hairy else 0.0,
        polish=_polish(rng) if polished else None,
    )


def _polish(rng: Rng) -> Array:
    """Reds and pinks mostly, else any colour."""
    if rng.random() < 0.6:
        return np.array([rng.uniform(0.25, 0.85), *(rng.uniform(0.02, 0.4) * np.array([1.0, 1.2]))])
    return np.asarray(rng.uniform(0.1, 0.85, 3) ** 2)


def paint_skin(number: int) -> NDArray[np.uint8]:
    """(TILE_PX, TILE_PX, 4) texture of a skin: square root of the linear albedo, and height (see `HEIGHT_M`).

    Args:
        number: below `SKINS`; the same number always gives the same skin.
    """
    layout, rng = skin_map(), np.random.default_rng([41, number])
    traits = _traits(rng, number)
    coarse, middle, fine = (_mixed(rng, band) for band in layout.noises)
    palm = _palm_share(layout, middle)
    change = np.zeros((len(palm), 3), np.float32, order="F")  # of the albedo's logarithm
    height = np.zeros(len(palm), np.float32)  # [m]
    _blood(layout, traits, palm, coarse, middle, change)
    _wrinkles(rng, layout, traits, palm, middle, fine, change, height)
    _marks(rng, layout, traits, palm, change, height)
    grain = np.roll(_grain(), rng.integers(TILE_PX, size=2), (0, 1)).ravel()[layout.texels]
    change += (0.03 * coarse + 0.02 * middle + 0.015 * fine + 0.02 * grain)[:, None]
    height += 2.5e-5 * grain
    albedo = np.exp(change)
    for k, (inner, outer) in enumerate(zip(traits.palm.tolist(), traits.back.tolist(), strict=True)):
        albedo[:, k] *= outer + palm * (inner - outer)
    _nails(rng, layout, traits, albedo, height)
    return layout.spread(coded(albedo, height))


def coded(albedo: Array, height_m: Array) -> NDArray[np.uint8]:
    """(N, 4) a texture's numbers from linear albedo (N, 3) and height (N,)."""
    texture = np.empty((len(albedo), 4), np.uint8)
    texture[:, :3] = np.sqrt(np.clip(albedo, 0.003, 0.96)) * 255
    texture[:, 3] = np.clip(height_m / HEIGHT_M + 0.5, 0, 1) * 255
    return texture


def _add(change: Array, strength: Array, colour: list[float]) -> None:
    """Add a colour (3,) to (N, 3), as strongly as (N,) says; channel by channel, as they lie in memory."""
    for k, share in enumerate(colour):
        change[:, k] += strength * np.float32(share)


def _between(table: Array, level: float) -> Array:
    k = min(int(level), len(table) - 2)
    return table[k] + (level - k) * (table[k + 1] - table[k])


def _mixed(rng: Rng, band: Float) -> Float:
    """(N,) a new noise of unit deviation from those of a band."""
    share = rng.normal(0, 1, len(band)).astype(np.float32)
    return np.asarray(share / np.linalg.norm(share) @ band, np.float32)


@lru_cache(maxsize=1)
def _grain() -> Float:
    """(TILE_PX, TILE_PX) texel by texel; pores and the small lines between them."""
    return np.random.default_rng(3).standard_normal((TILE_PX, TILE_PX)).astype(np.float32)


def _palm_share(layout: SkinMap, noise: Float) -> Float:
    """(N,) 1 on the palm side; on the forearm's inside the skin is only a little lighter."""
    share = smooth_step(-layout.facing + 0.06 * noise, -0.3, 0.45)
    return np.asarray(share * (1 - 0.72 * layout.arm), np.float32)


def _blood(layout: SkinMap, traits: _Traits, palm: Float, coarse: Float, middle: Float, change: Float) -> None:
    back = 1 - palm
    joint = np.exp(-((layout.bend_m / 0.008) ** 2)) * layout.digit
    red = 0.6 * layout.tip + back * (0.45 * joint + 0.4 * layout.knuckle) + 0.15 * palm
    red += 0.08 * coarse + 0.04 * middle + palm * np.clip(0.07 * coarse + 0.09 * middle, -0.1, 0.3)
    seen = traits.blood * (1 - traits.level * (0.45 + 0.35 * back))
    _add(change, seen * red, [0.02, -0.24, -0.20])
    # pigment gathers over the joints, more so in dark skin
    dark = back * (0.55 * joint + 0.3 * layout.knuckle) * (0.12 + 0.4 * traits.level)
    _add(change, -dark, [0.55, 0.6, 0.6])


def _wrinkles(
    rng: Rng,
    layout: SkinMap,
    traits: _Traits,
    palm: Float,
    middle: Float,
    fine: Float,
    change: Float,
    height: Float,
) -> None:
    """Flexion creases and the folds on the backs of the joints."""
    fold = layout.fold_m + 0.0007 * middle
    inside = smooth_step(-layout.facing, -0.2, 0.35)
    crease = np.exp(-((fold / 0.0007) ** 2)) * rng.uniform(0.5, 0.9)
    crease += np.exp(-(((np.abs(fold + 0.0003 * fine) - 0.0021) / 0.0006) ** 2)) * rng.uniform(0.1, 0.4)
    crease = np.maximum(crease * inside, palm_creases(rng))
    deep = rng.uniform(0.3, 0.5) + 0.25 * traits.level
    _add(change, -(deep * crease), [0.75, 1.05, 1.05])
    height -= (0.0003 + 0.0002 * traits.age) * crease
    # backs of the joints: bent transverse folds, dying out away from the joint
    back = smooth_step(layout.facing, -0.1, 0.5)
    bend = layout.bend_m
    arcs = bend + 0.0012 * (1 - layout.facing) * np.sign(bend) + 0.0009 * middle + 0.0003 * fine
    waves = np.abs(np.sin(arcs * (np.pi / rng.uniform(0.0019, 0.0026))))
    folds = (1 - waves) ** 2 * np.exp(-((bend / 0.0058) ** 2)) * back * np.clip(0.8 + 0.4 * fine, 0.2, 1.2)
    strength = (0.45 + 0.55 * traits.age) * rng.uniform(0.8, 1.1)
    _add(change, -(0.85 * strength * folds), [0.75, 1.05, 1.05])
    height -= 0.0006 * strength * folds
    height += 0.0004 * np.exp(-((bend / 0.006) ** 2)) * back * traits.age
    # small lines all over, in two directions
    lines = np.exp(-((fine / 0.18) ** 2)) * (1 - palm)
    change -= ((0.03 + 0.05 * traits.age) * lines)[:, None]
    height -= (5e-5 + 5e-5 * traits.age) * lines


def _marks(rng: Rng, layout: SkinMap, traits: _Traits, palm: Float, change: Float, height: Float) -> None:
    """Sinews, veins, freckles and moles, hair."""
    sinew = layout.tendon * rng.uniform(0.15, 1.0) * (0.35 + 0.65 * traits.age)
    height += 0.0011 * sinew + 0.0006 * layout.knuckle * smooth_step(layout.facing, 0.2, 0.7)
    change += (0.05 * sinew)[:, None]
    vein = veins(rng) * (1 - 0.5 * palm) * rng.uniform(0.1, 1.0)
    _add(change, -(vein * (1 - 0.75 * traits.level)), [0.28, 0.11, 0.07])
    height += (0.0003 + 0.0006 * traits.age) * vein
    spots = freckles(rng, traits.freckles, (1 - palm) * (layout.nail < 0.05))
    brown = np.array([0.35, 0.6, 0.75], np.float32) * (rng.uniform(0.3, 0.9) * (1 - 0.4 * traits.level))
    _add(change, -spots, brown.tolist())
    if traits.hair > 0:
        fair = rng.uniform(0.25, 1.0) if traits.level < 0.4 else 1.0
        strands = hair(rng, traits.hair, layout) * (layout.nail < 0.05) * fair
        _add(change, -strands, [0.9, 1.0, 1.05])
        height += 2e-5 * strands


def _nails(rng: Rng, layout: SkinMap, traits: _Traits, albedo: Array, height: Float) -> None:
    """Nails: pink through the plate, a pale half moon, a white edge, a rim of skin around; or painted ones."""
    rows = np.flatnonzero(layout.nail > 0.02)
    nail, along, across = layout.nail[rows], layout.nail_along[rows], layout.nail_across[rows]
    own = (0.75 * traits.palm + 0.25 * traits.back) * np.array([1.04, 0.9, 0.88]) * rng.uniform(0.94, 1.1) + 0.015
    plate = np.repeat(own[None], len(rows), 0)
    plate *= 1 + 0.012 * np.sin(9 * across + rng.uniform(0, 6))[:, None]
    moon = smooth_step(0.22 * rng.uniform(0.2, 1.1) - along - 0.1 * across**2, -0.05, 0.06)
    pale = own + 0.22 * (np.array([0.86, 0.8, 0.74]) - own)
    plate += (0.6 * moon)[:, None] * (pale - plate)
    tip = smooth_step(along + 0.10 * across**2, rng.uniform(0.82, 0.98), 1.04)
    plate += (0.7 * tip)[:, None] * (np.array([0.76, 0.72, 0.64]) - plate)
    if traits.polish is not None:
        plate = traits.polish * (1 + 0.04 * np.cos(3 * across))[:, None]
    rim = 4 * nail * (1 - nail)
    share = smooth_step(nail, 0.3, 0.75)[:, None]
    mixed = albedo[rows] * (1 - share) + plate * share
    albedo[rows] = mixed * (1 - 0.3 * rim * (along < 0.9))[:, None]
    # a plate is curved across and lies a little deeper than the skin around its root
    height[rows] = (
        height[rows] * (1 - share[:, 0]) - 0.0003 * rim * (along < 0.9) + 0.0002 * share[:, 0] * (1 - across**2)
    )
