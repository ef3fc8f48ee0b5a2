"""What can be trained: frozen presets with unique names. A new one is an entry of `_ALL`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from prehend.errors import AssetError, UnknownName
from prehend.models.detectors.centers import CENTER_DETECTOR
from prehend.models.hand_object.unihope import PAPER, SMALL
from prehend.models.hand_object.unihope_lite import LITE
from prehend.models.registry import config_from_manifest
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS, UPRIGHT_VIEW
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.frames import DetectorDataConfig
from prehend_training.losses.heads import Fusion
from prehend_training.losses.lifting import LiftConfig
from prehend_training.losses.pairs import LEVELS, TwinConfig
from prehend_training.losses.paper import PaperLossWeights
from prehend_training.train.loop.notes import read_note
from prehend_training.train.loop.preset import RENAMED, Changes, Optimisation, Preset, describe, renumbered
from prehend_training.train.tasks.crops import CropPreset
from prehend_training.train.tasks.detector import DetectorPreset
from prehend_training.train.tasks.h2onet import H2ONET_PRESETS
from prehend_training.train.tasks.hhmr import HHMR_PRESETS
from prehend_training.train.tasks.lite import LitePreset
from prehend_training.train.tasks.lite_views import LiteViewsPreset
from prehend_training.train.tasks.palms import PALM_PRESETS
from prehend_training.train.tasks.sima_presets import SIMA_PRESETS

_TINY = replace(
    SMALL, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), object_width=8, channels=8, heads=1, code=16, hidden=(16,)
)
# eight channels at least: oneDNN's 1x1 convolution of torch 2.13 writes past its buffer in the backward pass of fewer
_TINY_DETECTOR = replace(CENTER_DETECTOR, size=128, stem=(8, 8), widths=(8, 8, 8, 8), channels=8, head=8)
_TINY_LITE = replace(LITE, size=64, channels=8, heads=1, body=8, code=16, hidden=(16,))
_BRIEF = Optimisation(batch_size=2)

# Batches on a CPU are as large as Muon's fixed cost of a step asks for
_MUON = Optimisation(method="muon", batch_size=32, lr=1.2e-3)

UPRIGHT_CROPS = replace(
    STRONG_CROPS, size_px=LITE.size, object_grid=LITE.roi_size, describes_objects=True, view=UPRIGHT_VIEW
)

_UNIHOPE_XS = CropPreset(
    "unihope-xs", "unihope-xs", SMALL, CropDataConfig(object_grid=SMALL.roi_size), optimisation=_MUON
)
_DEBUG_UNIHOPE = CropPreset(
    "debug-unihope",
    "unihope-xs",
    _TINY,
    CropDataConfig(object_grid=_TINY.roi_size),
    optimisation=replace(_BRIEF, method="muon"),
    twins=TwinConfig(least_hidden=None, begin=0.5),
)

_UNIHOPE_S = LitePreset(
    "unihope-s",
    "unihope-s",
    data=UPRIGHT_CROPS,
    optimisation=Optimisation(
        method="muon", batch_size=24, lr=1e-3, weight_decay=0.01, ema=0.999, pretrained_share=0.12
    ),
)


def _trunk_arms() -> Iterator[Preset]:
    """What trunk and input size of `unihope-s` were chosen by: like it but for them; and the network before it."""
    yield replace(_UNIHOPE_S, name="unihope-s-imagenet", config=replace(LITE, trunk="imagenet"))
    for size in (192, 160, 128):
        config, data = replace(LITE, size=size), replace(UPRIGHT_CROPS, size_px=size)
        yield replace(_UNIHOPE_S, name=f"unihope-s-{size}", config=config, data=data)
    data = replace(UPRIGHT_CROPS, size_px=SMALL.size, object_grid=SMALL.roi_size, describes_objects=False)
    yield CropPreset("unihope-xs-upright", "unihope-xs", SMALL, data, optimisation=_MUON)


# a hand that was just found has no box of what it holds
_FURTHER_CROPS = replace(UPRIGHT_CROPS, whole_object_p=0.4)
_FURTHER = Optimisation(
    method="muon", batch_size=24, lr=7e-4, weight_decay=0.01, warmup=0.02, ema=0.998, pretrained_share=0.12
)


def _of_views() -> Iterator[Preset]:
    """`unihope-s` on several views of moments, with SiMA-Hand's teacher and, of the same crops, without."""
    name, way = "unihope-s-views", replace(_FURTHER, ema=0.995)
    taught = LiteViewsPreset(name, "unihope-s", data=_FURTHER_CROPS, optimisation=way, adapts=("shape", "orientation"))
    small = replace(UPRIGHT_CROPS, size_px=_TINY_LITE.size)
    tiny = replace(taught, name=f"debug-{name}", config=_TINY_LITE, data=small, skeletons=4, views=2)
    tiny = replace(tiny, optimisation=replace(_BRIEF, batch_size=8))
    yield replace(taught, name=f"{name}-no-shape", adapts=("orientation",))
    for chosen in (taught, tiny):
        yield chosen
        yield replace(chosen, name=f"{chosen.name}-plain", adapts=())


_ALL: tuple[Preset, ...] = (
    _UNIHOPE_S,
    # goes on from another run with further data: the same at a lower rate
    LitePreset(
        "unihope-s-further",
        "unihope-s",
        data=_FURTHER_CROPS,
        optimisation=_FURTHER,
    ),
    # what comes after the trunk and its maps alone: twice as many samples in the same time
    LitePreset(
        "unihope-s-heads",
        "unihope-s",
        data=_FURTHER_CROPS,
        optimisation=replace(_FURTHER, lr=1e-3),
        trains="heads",
    ),
    # its object stream alone: of a mixture only one crop in five teaches it
    LitePreset(
        "unihope-s-object",
        "unihope-s",
        # a hand that was just found has no box of what it holds: half of the time the whole crop is looked at
        data=replace(UPRIGHT_CROPS, absent_p=0.0, whole_object_p=0.5),
        optimisation=Optimisation(method="muon", batch_size=16, lr=1e-3, weight_decay=0.01, warmup=0.02, ema=0.998),
        trains="object",
    ),
    # the answer whether something is held alone, on what the trunk sees: minutes
    LitePreset(
        "unihope-s-grasp",
        "unihope-s",
        data=UPRIGHT_CROPS,
        optimisation=Optimisation(method="adamw", batch_size=48, lr=5e-4, weight_decay=0.01, warmup=0.02, ema=0.998),
        trains="grasp",
    ),
    # its pose head alone, on skeletons: minutes
    LitePreset(
        "unihope-s-lift",
        "unihope-s",
        optimisation=Optimisation(batch_size=512, lr=1e-3, weight_decay=1e-4, warmup=0.02, ema=0.999),
        trains="lift",
        lift=LiftConfig(noise=(0.003, 0.04)),
    ),
    _UNIHOPE_XS,
    # the paper's network, losses, weights, schedule and augmentation
    CropPreset(
        "unihope-b",
        "unihope-b",
        PAPER,
        replace(PAPER_CROPS, object_grid=PAPER.roi_size),
        PaperLossWeights(),
        Optimisation(batch_size=64, lr=1e-4, weight_decay=5e-4, warmup=0.01, schedule="steps", clip=1e3, ema=0.9995),
        twins=TwinConfig(),
    ),
    # First parts of a training: small images teach the trunk at an eighth of the cost; then `train --start`
    CropPreset(
        "unihope-xs-maps",
        "unihope-xs",
        replace(SMALL, size=64),
        CropDataConfig(size_px=64, object_grid=SMALL.roi_size),
        optimisation=replace(_MUON, batch_size=64, lr=5e-3),
        trains="maps",
    ),
    # then the trunk at full size, at half of the whole network's cost
    CropPreset(
        "unihope-xs-maps-128",
        "unihope-xs",
        SMALL,
        CropDataConfig(object_grid=SMALL.roi_size),
        optimisation=replace(_MUON, batch_size=64, lr=3e-3),
        trains="maps",
    ),
    # and the pose head's, which needs no images
    CropPreset(
        "unihope-xs-lift",
        "unihope-xs",
        SMALL,
        optimisation=Optimisation(batch_size=512, lr=2e-3, weight_decay=1e-4, warmup=0.02, ema=0.999),
        trains="lift",
    ),
    DetectorPreset(
        "detector-small",
        "detector",
        replace(CENTER_DETECTOR, size=128),
        DetectorDataConfig(size_px=128, hand_px=(24.0, 115.0)),
        optimisation=replace(_MUON, batch_size=48, lr=1.5e-3, ema=0.995),
    ),
    # a letterboxed frame is a quarter black: training sees hands of the same sizes in smaller images
    DetectorPreset(
        "detector",
        "detector",
        CENTER_DETECTOR,
        DetectorDataConfig(size_px=192, hand_px=(24.0, 190.0), scale=(0.9, 1.8), shift=0.25),
        optimisation=replace(_MUON, batch_size=24, lr=1e-3, ema=0.995),
    ),
    _DEBUG_UNIHOPE,
    CropPreset(
        "debug-paper",
        "unihope-xs",
        _TINY,
        CropDataConfig(object_grid=_TINY.roi_size),
        PaperLossWeights(),
        replace(_BRIEF, lr=1e-4, schedule="steps"),
        twins=TwinConfig(begin=0.5),
    ),
    CropPreset(
        "debug-maps",
        "unihope-xs",
        replace(_TINY, size=64),
        CropDataConfig(size_px=64, object_grid=_TINY.roi_size),
        optimisation=_BRIEF,
        trains="maps",
    ),
    LitePreset(
        "debug-lite",
        "unihope-s",
        _TINY_LITE,
        replace(UPRIGHT_CROPS, size_px=_TINY_LITE.size),
        optimisation=_BRIEF,
        skeletons=4,
    ),
    CropPreset("debug-lift", "unihope-xs", _TINY, optimisation=replace(_BRIEF, batch_size=16), trains="lift"),
    *PALM_PRESETS,
    DetectorPreset("debug-detector", "detector", _TINY_DETECTOR, DetectorDataConfig(size_px=128), optimisation=_BRIEF),
)


@dataclass(frozen=True)
class AblationRow:
    """A row of the paper's Table 7: what it adds to the one before, and how it is trained."""

    words: str
    fusion: Fusion = "grasp-aware"
    twins: TwinConfig | None = None


ABLATION_ROWS: dict[str, AblationRow] = {
    "a": AblationRow("Baseline", fusion="always"),
    "b": AblationRow("w/ Grasp-aware Feature Fusion"),
    "c": AblationRow("w/ De-occluded Pairs", twins=TwinConfig(levels=())),
    "d": AblationRow("+ Image Feature Enhancement", twins=TwinConfig(("initial",), None)),
    "e": AblationRow("+ RoI Feature Enhancement", twins=TwinConfig(("initial", "roi"), None)),
    "f": AblationRow("+ MANO Feature Enhancement", twins=TwinConfig(LEVELS, None)),
    "g": AblationRow("+ Occlusion-aware Case Filtering", twins=TwinConfig(LEVELS, 0.1)),
}


def row_name(base: str, letter: str) -> str:
    """Name of the preset of a row."""
    return f"{base}-row-{letter}"


def _rows_of(base: CropPreset) -> Iterator[CropPreset]:
    for letter, row in ABLATION_ROWS.items():
        yield replace(base, name=row_name(base.name, letter), fusion=row.fusion, twins=row.twins)


_ROWS = [*_rows_of(_UNIHOPE_XS), *_rows_of(_DEBUG_UNIHOPE)]
_ALL_PARTS = (*_ALL, *H2ONET_PRESETS, *SIMA_PRESETS, *HHMR_PRESETS, *_ROWS, *_trunk_arms(), *_of_views())
PRESETS: dict[str, Preset] = {one.name: one for one in _ALL_PARTS}


def preset(name: str) -> Preset:
    """The preset of a name, perhaps an old one.

    Raises:
        UnknownName: there is none.
    """
    name = RENAMED.get(name, name)
    if name not in PRESETS:
        raise UnknownName("preset", name, get_close_matches(name, PRESETS) or PRESETS)
    return PRESETS[name]


RECIPES: dict[str, Optimisation] = {
    "unihope-xs": Optimisation(method="muon", batch_size=512, lr=3e-3, ema=0.998),
    "unihope-b": Optimisation(method="muon", batch_size=256, lr=2e-3, ema=0.998),
    "detector": Optimisation(batch_size=128, lr=2e-3, ema=0.998),
}
"""How networks are trained with large batches, as a GPU wants them; presets without an entry keep their own numbers."""


def changed_preset(chosen: Preset, changes: Changes) -> Preset:
    """A preset with other numbers; RUN/run.json tells what they are.

    Raises:
        InvalidInput: the changes have no effect on what the preset trains, or a number is not positive.
    """
    numbers = RECIPES.get(chosen.name, chosen.optimisation) if changes.large_batches else chosen.optimisation
    return renumbered(chosen, changes, numbers).changed(changes)


def preset_of_run(run: Path) -> Preset:
    """The preset that a run's folder says it trains, with the network's numbers that the run had.

    Raises:
        AssetError: it is no folder of a run, or its note is damaged.
        UnknownName: there is no such preset any more.
        WeightsMismatch: its network is none of this version's.
    """
    note = read_note(run)
    if not isinstance(note.get("preset"), str):
        raise AssetError(f"{run / 'run.json'} names no preset: it is none of `prehend-train train`")
    chosen, numbers = preset(note["preset"]), note.get("numbers")
    had = numbers.get("config") if isinstance(numbers, dict) else None
    if not isinstance(had, dict) or had == json.loads(json.dumps(describe(chosen).get("config"))):
        return chosen
    manifest = {"name": run.name, "network": chosen.network, "config": had}
    return replace(chosen, config=config_from_manifest(manifest))  # type: ignore[call-arg, type-var]
