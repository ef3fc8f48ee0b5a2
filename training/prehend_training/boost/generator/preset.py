"""What can be trained to make pictures: the paper's size, one for two cores, and one for tests."""

from prehend.errors import UnknownName
from prehend_training.boost.generator.network import DenoiserConfig
from prehend_training.boost.generator.task import BoosterPreset
from prehend_training.train.loop.preset import Optimisation

_PRESETS = (
    # the paper's widths and numbers; its blocks have 38.4 million numbers, those of diffusers 40.8
    BoosterPreset(
        "handbooster-b",
        DenoiserConfig(128, 1, (64, 128, 256, 512)),
        Optimisation(batch_size=256, lr=8e-5, weight_decay=0.0, warmup=0.0, final_lr=1.0, clip=1.0, ema=0.995),
    ),
    BoosterPreset(
        "handbooster-s",
        DenoiserConfig(64, 2, (32, 64, 128, 192), attention=(2, 3)),
        Optimisation(batch_size=32, lr=6e-4, weight_decay=0.0, warmup=0.03, final_lr=0.05, clip=1.0, ema=0.999),
        snr_limit=5.0,
    ),
    BoosterPreset(
        "debug-handbooster",
        DenoiserConfig(32, 2, (16, 32)),
        Optimisation(batch_size=4, lr=2e-3, weight_decay=0.0, clip=1.0),
        snr_limit=5.0,
    ),
)
BOOSTERS = {one.name: one for one in _PRESETS}


def booster(name: str) -> BoosterPreset:
    """A preset by name.

    Raises:
        UnknownName: there is none.
    """
    if name not in BOOSTERS:
        raise UnknownName("generator", name, BOOSTERS)
    return BOOSTERS[name]
