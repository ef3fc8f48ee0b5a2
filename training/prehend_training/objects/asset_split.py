"""Which things and skins may appear in scenes: all, or those kept for training or for measuring alone.

What may appear is a property of a whole folder of scenes, and a dozen functions draw from it; so it is set once for the
thread or process that samples scenes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

Stock = Literal["all", "training", "held-out"]
STOCKS: tuple[Stock, ...] = get_args(Stock)

HELD_OUT_OBJECTS = frozenset(
    {"banana", "clamp", "drill", "flask", "hammer", "mustard_bottle", "plate", "spray_bottle", "tv_remote"}
)
"""Things of the catalogue that no family resembles."""
SKIN_STEP, HELD_OUT_SKIN = 5, 2
"""Every fifth painting is held out; they are numbered from light to dark."""

_STOCK: ContextVar[Stock] = ContextVar("stock", default="all")


@contextmanager
def drawn_from(stock: Stock) -> Iterator[None]:
    """Let all that is sampled meanwhile come from a part of what there is."""
    token = _STOCK.set(stock)
    try:
        yield
    finally:
        _STOCK.reset(token)


def things_in_stock(names: Iterable[str]) -> list[str]:
    """Those of the names that may appear, in their order."""
    stock = _STOCK.get()
    return [name for name in names if stock == "all" or (name in HELD_OUT_OBJECTS) == (stock == "held-out")]


def skins_in_stock(count: int) -> list[int]:
    """Those of the paintings 0 to `count` - 1 that may appear."""
    stock = _STOCK.get()
    held_out = stock == "held-out"
    return [n for n in range(count) if stock == "all" or (n % SKIN_STEP == HELD_OUT_SKIN) == held_out]


def families_in_stock() -> bool:
    """Whether members of families may appear: they belong to training."""
    return _STOCK.get() != "held-out"
