"""Weights that ship, or that `prehend-train export` wrote, as the start of a network in training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from prehend.backends.torch_ import load_network
from prehend.errors import WeightsMismatch
from prehend.models.hand_object.unihope_lite import UniHOPELite
from prehend.weights import MANIFEST, Bundle, available, load_bundle
from prehend_training.pretrained.start import copy_answers, fill_trunk, start_of

_LATER = "time."
"""What several frames add to a network; weights may lack it."""


def bundle_at(path: Path) -> Bundle | None:
    """Weights by name (where no folder of that name is here) or folder; None where it is neither.

    Raises:
        AssetError: see `load_bundle`.
    """
    if (path / MANIFEST).is_file():
        return load_bundle(path)
    return load_bundle(str(path)) if str(path) in available() and not path.exists() else None


def slope_of(bundle: Bundle) -> float:
    """How much the rectifiers of its fully connected layers leak below zero."""
    return float(bundle.manifest["config"].get("slope", 0.0))


def load_weights(bundle: Bundle, network: nn.Module) -> None:
    """Read weights into a network in training.

    A network of the same kind takes all that it has, perhaps without what several frames add, which is left out where
    it is of another kind; another one on the trunk of `unihope-s` takes the trunk, and the answers that are read from
    its mean. What only training has stays fresh.

    Args:
        bundle: as `prehend` loads it.
        network: in training, or the network itself; one with `starts_with` takes no more than that.

    Raises:
        AssetError: the numbers cannot be read.
        WeightsMismatch: it belongs to another network.
    """
    given, inner = load_network(bundle), getattr(network, "network", network)
    numbers, learns = given.state_dict(), getattr(network, "starts_with", "").removeprefix("network.")
    start = start_of(inner)
    if isinstance(given, type(inner)) or isinstance(inner, type(given)):
        fusion = tuple(prefix.removeprefix("network.") for prefix in getattr(network, "fusion", ()))
        if own := own_fusion(numbers, inner.state_dict(), fusion):
            numbers = {name: value for name, value in numbers.items() if not name.startswith(fusion)}
            numbers |= {name: inner.state_dict()[name] for name in own}
        numbers = {name: value for name, value in numbers.items() if name.startswith(learns)}
        _fill(bundle, inner, numbers, learns)
    elif isinstance(given, UniHOPELite) and start is not None and not learns:
        fill_trunk(f"weights '{bundle.name}'", start.trunk, given.streams.trunk.state_dict(), bundle.network)
        copy_answers(start, given.places, given.switcher.presence, given.switcher.side)
    else:
        raise WeightsMismatch(f"weights '{bundle.name}' are of '{bundle.network}', another network")


def own_fusion(given: Mapping[str, Tensor], here: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> set[str]:
    """What of a network's numbers, of those that several frames need, stays its own, because what is given has another
    kind of fusion; nothing where the kinds are the same.

    Args:
        given, here: numbers by name, of what is to be loaded and of the network.
        prefixes: of the names of what several frames need.
    """
    named = [{name for name in numbers if name.startswith(prefixes)} for numbers in (given, here)]
    return named[1] if prefixes and named[0] != named[1] else set()


def _fill(bundle: Bundle, network: nn.Module, numbers: dict[str, Tensor], part: str) -> None:
    here: dict[str, Any] = network.state_dict()
    fresh = {name: value for name, value in here.items() if _stays(name, part) and name not in numbers}
    taken = {name: value for name, value in numbers.items() if name in here or not name.startswith(_LATER)}
    try:
        network.load_state_dict(taken | fresh)
    except RuntimeError as error:
        text = str(error).splitlines()[-1].strip()
        raise WeightsMismatch(f"weights '{bundle.name}' are of another network: {text}") from error


def _stays(name: str, part: str) -> bool:
    """Whether weights may lack it: what several frames add, or all that is not of the part that learns."""
    return not name.startswith(part) if part else name.startswith(_LATER)
