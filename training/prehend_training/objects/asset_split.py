"""Which objects and skins may appear in scenes: all, or those kept for training or for measuring alone.

What may appear is a property of a whole folder of scenes, and a dozen functions draw from it; so it is set once for the
thread or process that samples scenes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

AssetSplit = Literal["all", "training", "held-out"]
ASSET_SPLITS: tuple[AssetSplit, ...] = get_args(AssetSplit)

HELD_OUT_OBJECTS = frozenset(
    {"banana", "clamp", "drill", "flask", "hammer", "mustard_bottle", "plate", "spray_bottle", "tv_remote"}
)
"""Objects of the catalogue that no family resembles."""
SKIN_STEP, HELD_OUT_SKIN = 5, 2
"""Every fifth painting is held out; they are numbered from light to dark."""

_SPLIT: ContextVar[AssetSplit] = ContextVar("asset_split", default="all")


@contextmanager
def drawn_from(split: AssetSplit) -> Iterator[None]:
    """Let all that is sampled meanwhile come from a part of what there is."""
    token = _SPLIT.set(split)
    try:
        yield
    finally:
        _SPLIT.reset(token)


def things_in_split(names: Iterable[str]) -> list[str]:
    """Those of the names that may appear, in their order."""
    split = _SPLIT.get()
    return [name for name in names if split == "all" or (name in HELD_OUT_OBJECTS) == (split == "held-out")]


def skins_in_split(count: int) -> list[int]:
    """Those of the paintings 0 to `count` - 1 that may appear."""
    split = _SPLIT.get()
    held_out = split == "held-out"
    return [n for n in range(count) if split == "all" or (n % SKIN_STEP == HELD_OUT_SKIN) == held_out]


def families_in_split() -> bool:
    """Whether members of families may appear: they belong to training."""
    return _SPLIT.get() != "held-out"
