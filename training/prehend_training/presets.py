"""What can be trained: frozen presets with unique names. A new one is an entry of `PRESETS`."""

from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from prehend.errors import UnknownName
from prehend.models.finder import FINDER, FinderConfig
from prehend.models.unihope import PAPER, SMALL, UniHOPEConfig
from prehend_training.data import CropDataConfig
from prehend_training.finder_data import FinderDataConfig
from prehend_training.finder_losses import FinderLossWeights
from prehend_training.losses import CropLossWeights


@dataclass(frozen=True)
class Optimisation:
    """How weights are found.

    Attributes:
        batch_size: samples a step.
        lr: highest learning rate of AdamW.
        weight_decay: of weights with more than one axis; biases and normalisation have none.
        warmup: share of the budget in which the rate rises to its highest; then it falls along a cosine.
        final_lr: rate at the end over the highest.
        clip: largest norm of the gradient.
        ema: highest decay of the averaged weights, which are the result.
    """

    batch_size: int = 16
    lr: float = 1.2e-3
    weight_decay: float = 0.02
    warmup: float = 0.05
    final_lr: float = 0.005
    clip: float = 20.0
    ema: float = 0.998


@dataclass(frozen=True)
class CropPreset:
    """Training of a crop network.

    Attributes:
        name: of the preset. network: of the network.
        config: the network's numbers.
        maps_only: train only what leads to the maps and to the switcher's answers, on maps, grasp and presence.
        data, loss, optimisation: see there.
        seed: of the fresh weights and the batches.
    """

    name: str
    network: str
    config: UniHOPEConfig
    data: CropDataConfig = field(default_factory=CropDataConfig)
    loss: CropLossWeights = field(default_factory=CropLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0
    maps_only: bool = False


@dataclass(frozen=True)
class FinderPreset:
    """Training of a finder; fields as in `CropPreset`."""

    name: str
    network: str
    config: FinderConfig
    data: FinderDataConfig = field(default_factory=FinderDataConfig)
    loss: FinderLossWeights = field(default_factory=FinderLossWeights)
    optimisation: Optimisation = field(default_factory=Optimisation)
    seed: int = 0


Preset = CropPreset | FinderPreset

_TINY = replace(
    SMALL, widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), object_width=8, channels=8, heads=1, code=16, hidden=(16,)
)
# eight channels at least: oneDNN's 1x1 convolution of torch 2.13 writes past its buffer in the backward pass of fewer
_TINY_FINDER = replace(FINDER, size=128, stem=(8, 8), widths=(8, 8, 8, 8), channels=8, head=8)
_BRIEF = Optimisation(batch_size=2)

_ALL: tuple[Preset, ...] = (
    CropPreset("unihope-s", "unihope-s", SMALL, CropDataConfig(object_grid=SMALL.roi_size)),
    CropPreset(
        "unihope-b",
        "unihope-b",
        PAPER,
        CropDataConfig(object_grid=PAPER.roi_size),
        optimisation=Optimisation(batch_size=64, lr=4e-4, ema=0.9995),
    ),
    # First parts of a training: small pictures teach the trunk at a fifth of the cost; `train --start` goes on from it
    CropPreset(
        "unihope-s-maps",
        "unihope-s",
        replace(SMALL, size=64),
        CropDataConfig(size_px=64, object_grid=SMALL.roi_size),
        optimisation=Optimisation(batch_size=32, lr=1.5e-3),
        maps_only=True,
    ),
    FinderPreset("finder-small", "finder", replace(FINDER, size=128), FinderDataConfig(size_px=128)),
    FinderPreset("finder", "finder", FINDER),
    CropPreset("debug-unihope", "unihope-s", _TINY, CropDataConfig(object_grid=_TINY.roi_size), optimisation=_BRIEF),
    CropPreset(
        "debug-maps",
        "unihope-s",
        replace(_TINY, size=64),
        CropDataConfig(size_px=64, object_grid=_TINY.roi_size),
        optimisation=_BRIEF,
        maps_only=True,
    ),
    FinderPreset("debug-finder", "finder", _TINY_FINDER, FinderDataConfig(size_px=128), optimisation=_BRIEF),
)
PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UnknownName: there is none.
    """
    if name not in PRESETS:
        raise UnknownName("preset", name, get_close_matches(name, PRESETS) or PRESETS)
    return PRESETS[name]


def describe(chosen: Preset) -> dict[str, Any]:
    """A preset as JSON."""
    return asdict(chosen)
