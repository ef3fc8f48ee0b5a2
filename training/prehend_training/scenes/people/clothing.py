"""What hands wear: sleeves, gloves, rings, watches, bracelets. Numbers alone; `clothing_meshes` has the triangles."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prehend_training.scenes.people.clothing_textures import CLOTH_KINDS, DIAL_COUNT, THIN_GLOVES, WORK_GLOVES
from prehend_training.scenes.people.skin import SkinMaterial, sample_skin

Array = NDArray[np.floating]
Rng = np.random.Generator

_GLOVE_SHARE, _SLEEVE_SHARE, _WATCH_SHARE, _RING_SHARE, _BRACELET_SHARE = 0.08, 0.45, 0.19, 0.22, 0.1
_THIN_COLOURS = (
    (0.08, 0.24, 0.58),
    (0.10, 0.36, 0.72),
    (0.02, 0.02, 0.025),
    (0.85, 0.86, 0.88),
    (0.80, 0.72, 0.55),
    (0.25, 0.12, 0.5),
    (0.10, 0.42, 0.42),
    (0.85, 0.30, 0.08),
)
_GOLD, _SILVER, _COPPER, _BLACK = (0.95, 0.66, 0.27), (0.80, 0.79, 0.77), (0.85, 0.52, 0.40), (0.05, 0.05, 0.055)
_METALS = np.array([_GOLD, _SILVER, _COPPER, _BLACK])
_STONES = ((0.75, 0.78, 0.8), (0.45, 0.02, 0.05), (0.03, 0.07, 0.45), (0.02, 0.3, 0.12), (0.02, 0.02, 0.02))


@dataclass(frozen=True)
class Sleeve:
    """A sleeve from somewhere on the forearm up over the elbow.

    Attributes:
        start_m: where it ends towards the hand, measured along the forearm from the wrist.
        thickness_m: how far it stands off the skin at least.
        loose_m: height of its folds.
        droop_m: how much farther it hangs on one side, `droop_rad` around the arm.
        flare_m: how much wider it is at its opening.
        cuff: a plain hem, a tight band, or cloth rolled up.
        cuff_m: width of band or roll.
        folds: (K, 4) turns around the arm, waves per metre, phase, height of each fold.
        cloth: number of its texture.
        cloth_m: length of cloth that the texture shows.
        colour: (3,) linear.
    """

    start_m: float
    thickness_m: float
    loose_m: float
    droop_m: float
    droop_rad: float
    flare_m: float
    cuff: Literal["hem", "band", "rolled"]
    cuff_m: float
    folds: Array
    cloth: int
    cloth_m: float
    colour: Array


@dataclass(frozen=True)
class Glove:
    """A glove over hand, nails and wrist.

    Attributes:
        kind: "work" is thick with a sewn or dipped palm, "thin" is nitrile or latex.
        painting: number of its texture.
        thickness_m: off the skin.
        cuff_m: how far it reaches along the forearm.
        flare_m: how much wider it is there.
        colour: (3,) linear, of the cuff.
        cuff_cloth: number of the cuff's texture.
        tint: (3,) factor on the texture of the hand.
        gloss: (3,) specular strength, gloss, how much light bleeds through.
    """

    kind: Literal["work", "thin"]
    painting: int
    thickness_m: float
    cuff_m: float
    flare_m: float
    colour: Array
    cuff_cloth: int
    tint: Array
    gloss: Array


@dataclass(frozen=True)
class Ring:
    """A ring on the first bone of a finger.

    Attributes:
        digit: 1 index .. 4 little finger.
        along: share of the bone from the knuckle.
        section_m: (2,) half its width along the finger, half its thickness.
        colour: (3,) linear.
        stone: (3,) linear colour of a cut stone on the back, None for none.
        stone_m: half the stone's width.
    """

    digit: int
    along: float
    section_m: Array
    colour: Array
    stone: Array | None = None
    stone_m: float = 0.0


@dataclass(frozen=True)
class Watch:
    """A watch on the back of the wrist, or on its inside.

    Attributes:
        place_m: its middle along the forearm.
        inside: whether the case sits on the palm's side.
        strap_m: width of the strap.
        case_m: (2,) half the size of the case, its height.
        square: a rounded square instead of a disc.
        dial: number of its face.
        strap, case: (3,) linear colours.
        metal_strap: of links, else leather or rubber.
    """

    place_m: float
    inside: bool
    strap_m: float
    case_m: Array
    square: bool
    dial: int
    strap: Array
    case: Array
    metal_strap: bool


@dataclass(frozen=True)
class Bracelet:
    """A ring, chain or beads about the wrist.

    Attributes:
        place_m: its middle along the forearm.
        tilt_m: how much nearer to the hand it is on the back.
        section_m: half its thickness.
        beads: how many, 0 for a smooth one.
        colour: (3,) linear.
        metal: shines like one.
    """

    place_m: float
    tilt_m: float
    section_m: float
    beads: int
    colour: Array
    metal: bool


@dataclass(frozen=True)
class Outfit:
    """How one hand and its arm look; a person's other hand has the same or `other_hand()`."""

    skin: SkinMaterial
    sleeve: Sleeve | None = None
    glove: Glove | None = None
    rings: tuple[Ring, ...] = ()
    watch: Watch | None = None
    bracelet: Bracelet | None = None

    def other_hand(self) -> "Outfit":
        """The same clothes and gloves without the jewellery, which people mostly wear on one hand."""
        return replace(self, rings=(), watch=None, bracelet=None)


def sample_outfit(rng: Rng) -> Outfit:
    """One person's skin and clothes; the same for the same state of `rng`."""
    skin = sample_skin(rng)
    glove = sample_glove(rng) if rng.random() < _GLOVE_SHARE else None
    sleeve = sample_sleeve(rng) if rng.random() < _SLEEVE_SHARE else None
    if glove is not None:
        if sleeve is not None and sleeve.start_m < glove.cuff_m + 0.01:  # the glove's cuff goes into the sleeve
            glove = replace(glove, cuff_m=max(glove.cuff_m, 0.05), flare_m=min(glove.flare_m, 0.001))
            start = max(min(sleeve.start_m, glove.cuff_m - 0.02), 0.015)
            sleeve = replace(sleeve, start_m=start, thickness_m=sleeve.thickness_m + 0.0035)
        return Outfit(skin, sleeve, glove)
    free_m = 0.2 if sleeve is None else sleeve.start_m - 0.008
    watch = sample_watch(rng) if rng.random() < _WATCH_SHARE else None
    if watch is not None and watch.place_m + watch.strap_m > free_m:
        watch = None
    bracelet = sample_bracelet(rng) if rng.random() < _BRACELET_SHARE and watch is None else None
    if bracelet is not None and bracelet.place_m + 0.015 > free_m:
        bracelet = None
    rings: tuple[Ring, ...] = ()
    if rng.random() < _RING_SHARE:
        digits = rng.permutation([1, 2, 3, 3, 3, 4])[: int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))]
        rings = tuple(sample_ring(rng, int(digit)) for digit in sorted(set(digits.tolist())))
    return Outfit(skin, sleeve, None, rings, watch, bracelet)


def sample_sleeve(rng: Rng) -> Sleeve:
    """A sleeve of a shirt, coat, sweater, sweatshirt or jacket: long ones mostly, rolled-up and short ones at times."""
    style = str(rng.choice(["shirt", "coat", "sweater", "sweatshirt", "jacket"], p=[0.3, 0.16, 0.18, 0.2, 0.16]))
    kinds, cuffs, loose = _STYLES[style]
    long = rng.random() < (0.9 if style in ("coat", "jacket") else 0.65)
    cuff = str(rng.choice(cuffs)) if long else str(rng.choice(["hem", "rolled"]))
    looseness = rng.uniform(*loose)
    waves = [[rng.integers(-2, 3), rng.uniform(14, 60), rng.uniform(0, 6.3), rng.uniform(0.4, 1)] for _ in range(4)]
    kind = str(rng.choice(kinds))
    return Sleeve(
        start_m=rng.uniform(-0.01, 0.03) if long else rng.uniform(0.05, 0.16),
        thickness_m=rng.uniform(0.0018, 0.004),
        loose_m=looseness,
        droop_m=rng.uniform(0, 1.4) * looseness,
        droop_rad=rng.uniform(-np.pi, np.pi),
        flare_m=rng.uniform(0, 1.2) * looseness if cuff == "hem" else 0.0,
        cuff="hem" if cuff == "hem" else "rolled" if cuff == "rolled" else "band",
        cuff_m=rng.uniform(0.045, 0.07) if style == "shirt" else rng.uniform(0.025, 0.05),
        folds=np.array(waves, np.float64),
        cloth=int(rng.choice(CLOTH_KINDS[kind])),
        cloth_m=0.32 * np.exp(rng.normal(0, 0.18)),
        colour=_coat_white(rng) if style == "coat" else _dyed(rng),
    )


# cloth, ends, and how loose [m] the sleeves of each kind of garment are
_STYLES: dict[str, tuple[list[str], list[str], tuple[float, float]]] = {
    "shirt": (["weave", "weave", "striped", "striped", "checked"], ["band", "band", "rolled"], (0.004, 0.011)),
    "coat": (["weave"], ["hem"], (0.006, 0.014)),
    "sweater": (["knit"], ["band", "hem"], (0.002, 0.008)),
    "sweatshirt": (["jersey"], ["band", "band", "hem"], (0.002, 0.010)),
    "jacket": (["denim", "weave", "jersey"], ["hem", "band"], (0.004, 0.010)),
}


def _dyed(rng: Rng) -> Array:
    """Linear colour of a cloth: greys, blues, whites and blacks mostly, any other at times."""
    value = rng.uniform(0.03, 1.1) ** 1.6
    return np.asarray(np.clip(value * np.exp(rng.normal(0, rng.choice([0.06, 0.5]), 3)), 0.012, 1.1))


def _coat_white(rng: Rng) -> Array:
    return np.asarray(rng.uniform(0.85, 1.25) * np.exp(rng.normal(0, 0.025, 3)))


def sample_glove(rng: Rng) -> Glove:
    """A work glove or a medical one."""
    if rng.random() < 0.45:
        return Glove(
            kind="work",
            painting=int(rng.integers(WORK_GLOVES)),
            thickness_m=rng.uniform(0.001, 0.0022),
            cuff_m=rng.uniform(0.02, 0.09),
            flare_m=rng.uniform(0.002, 0.012) if rng.random() < 0.4 else 0.0,
            colour=_dyed(rng) if rng.random() < 0.4 else np.full(3, rng.uniform(0.02, 0.7)),
            cuff_cloth=int(rng.choice(CLOTH_KINDS[str(rng.choice(["knit", "denim", "jersey"]))])),
            tint=np.exp(rng.normal(0, 0.12, 3)),
            gloss=np.array([rng.uniform(0.05, 0.3), rng.uniform(6, 14), 0.0]),
        )
    colour = np.array(_THIN_COLOURS[int(rng.integers(len(_THIN_COLOURS)))]) * np.exp(rng.normal(0, 0.08, 3))
    return Glove(
        kind="thin",
        painting=WORK_GLOVES + int(rng.integers(THIN_GLOVES)),
        thickness_m=rng.uniform(0.0003, 0.0007),
        cuff_m=rng.uniform(0.03, 0.1),
        flare_m=rng.uniform(0, 0.005),
        colour=colour,
        cuff_cloth=CLOTH_KINDS["film"][0],
        tint=colour,
        gloss=np.array([rng.uniform(0.6, 1.8), rng.uniform(14, 40), 0.0]),
    )


def sample_ring(rng: Rng, digit: int) -> Ring:
    """A ring for a finger (1 index .. 4 little)."""
    section = np.array([rng.uniform(0.0009, 0.0032), rng.uniform(0.0006, 0.0011)])
    metal = _METALS[int(rng.choice(4, p=[0.42, 0.4, 0.1, 0.08]))] * rng.uniform(0.85, 1.05)
    stone = np.array(_STONES[int(rng.choice(5, p=[0.45, 0.15, 0.15, 0.1, 0.15]))]) if rng.random() < 0.3 else None
    return Ring(digit, rng.uniform(0.42, 0.6), section, metal, stone, rng.uniform(0.0014, 0.0035))


def sample_watch(rng: Rng) -> Watch:
    """A wristwatch."""
    square, kind = rng.random() < 0.4, rng.random()
    leather = np.clip(np.array([0.16, 0.08, 0.045]) * np.exp(rng.normal(0, 0.6)), 0.01, 0.5)
    case = _METALS[int(rng.choice(4, p=[0.2, 0.4, 0.1, 0.3]))]
    return Watch(
        place_m=rng.uniform(0.014, 0.035),
        inside=rng.random() < 0.08,
        strap_m=rng.uniform(0.016, 0.023),
        case_m=np.array([rng.uniform(0.013, 0.0195), rng.uniform(0.0055, 0.0085)]),
        square=square,
        dial=int(rng.integers(DIAL_COUNT // 4)) * 4 + (3 if square else int(rng.integers(3))),
        strap=case if kind < 0.3 else leather if kind < 0.6 else np.full(3, 0.015) if kind < 0.85 else _dyed(rng),
        case=case,
        metal_strap=kind < 0.3,
    )


def sample_bracelet(rng: Rng) -> Bracelet:
    """A bangle, a chain, beads or a string."""
    beads = int(rng.integers(24, 46)) if rng.random() < 0.5 else 0
    metal = rng.random() < (0.3 if beads else 0.6)
    section = rng.uniform(0.0022, 0.004) if beads else rng.uniform(0.0007, 0.002)
    colour = _METALS[int(rng.integers(3))] if metal else _dyed(rng)
    return Bracelet(rng.uniform(0.002, 0.03), rng.normal(0, 0.004), section, beads, colour, metal)
