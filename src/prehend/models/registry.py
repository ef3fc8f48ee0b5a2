"""The networks by name. A new network is one file in this package and one line here."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from prehend.errors import UnknownName, WeightsMismatch, one_line
from prehend.models.detectors.centers import CENTER_DETECTOR, CenterDetectorConfig, build_center_detector
from prehend.models.detectors.palm import PALM, PalmConfig, build_palm
from prehend.models.hand_object.grasp_dates import GRASP_DATES, GraspDatesConfig, build_grasp_dates
from prehend.models.hand_object.grasp_motion import GRASP_MOTION, GraspMotionConfig, build_grasp_motion
from prehend.models.hand_object.time_fusion import LITE_TIME, UniHOPETimeConfig, build_unihope_time
from prehend.models.hand_object.unihope import PAPER, SMALL, UniHOPEConfig, build_unihope
from prehend.models.hand_object.unihope_lite import LITE, UniHOPELiteConfig, build_unihope_lite
from prehend.models.meshes.h2onet import H2ONET_LITE, H2ONET_PAPER, H2ONetConfig, build_h2onet
from prehend.models.meshes.hhmr import HHMR_PAPER, HHMR_SMALL, HHMR_TINY, HHMRConfig, build_hhmr
from prehend.models.sima.hand import SIMA_LITE, SIMA_PAPER, SIMA_SMALL, build_sima_hand
from prehend.models.sima.parts import SimaConfig
from prehend.models.sima.views import SIMA_VIEWS_LITE, SIMA_VIEWS_PAPER, SIMA_VIEWS_SMALL, build_sima_views
from prehend.models.stage import Staged, sizes

Config = (
    UniHOPEConfig
    | UniHOPELiteConfig
    | UniHOPETimeConfig
    | H2ONetConfig
    | HHMRConfig
    | SimaConfig
    | CenterDetectorConfig
    | PalmConfig
    | GraspDatesConfig
    | GraspMotionConfig
)


@dataclass(frozen=True)
class Entry:
    """A network: its numbers, and who builds it from them."""

    config: Any
    build: Callable[[Any], Staged]


NETWORKS: dict[str, Entry] = {
    "unihope-s": Entry(LITE, build_unihope_lite),
    "unihope-s-time": Entry(LITE_TIME, build_unihope_time),
    "unihope-xs": Entry(SMALL, build_unihope),
    "unihope-b": Entry(PAPER, build_unihope),
    "h2onet-s": Entry(H2ONET_LITE, build_h2onet),
    "h2onet-b": Entry(H2ONET_PAPER, build_h2onet),
    "hhmr-xs": Entry(HHMR_TINY, build_hhmr),
    "hhmr-s": Entry(HHMR_SMALL, build_hhmr),
    "hhmr-b": Entry(HHMR_PAPER, build_hhmr),
    "sima-s": Entry(SIMA_LITE, build_sima_hand),
    "sima-s-views": Entry(SIMA_VIEWS_LITE, build_sima_views),
    "sima-xs": Entry(SIMA_SMALL, build_sima_hand),
    "sima-xs-views": Entry(SIMA_VIEWS_SMALL, build_sima_views),
    "sima-b": Entry(SIMA_PAPER, build_sima_hand),
    "sima-b-views": Entry(SIMA_VIEWS_PAPER, build_sima_views),
    "detector": Entry(CENTER_DETECTOR, build_center_detector),
    "palm": Entry(PALM, build_palm),
    "grasp-dates": Entry(GRASP_DATES, build_grasp_dates),
    "grasp-motion": Entry(GRASP_MOTION, build_grasp_motion),
}


_LARGEST = 100_000
"""No number of a network is larger."""
_BUILDING = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError)
"""What torch and our modules raise over numbers that make no network."""

_ADDED: dict[str, Any] = {"slope": 0.0, "changes": True, "turns": "chosen"}
"""Numbers that weights from before they existed lack, and what those were trained with."""

FORMER_NAMES = {"finder": "detector"}
"""Names under which older weights and presets know a network."""


@dataclass(frozen=True)
class Description:
    """Size of a network.

    Attributes:
        name: of the network.
        parameters: trainable numbers.
        gmac: 10^9 multiply-adds of each stage for one item (convolutions and matrix products).
    """

    name: str
    parameters: int
    gmac: dict[str, float]


def entry(name: str) -> Entry:
    """The entry of a network.

    Raises:
        UnknownName: there is none of that name.
    """
    name = FORMER_NAMES.get(name, name)
    if name not in NETWORKS:
        raise UnknownName("network", name, get_close_matches(name, NETWORKS) or NETWORKS)
    return NETWORKS[name]


def create(name: str) -> Staged:
    """A network with its preset numbers and fresh weights."""
    found = entry(name)
    return found.build(found.config)


def config_to_manifest(config: Config) -> dict[str, Any]:
    """The numbers of a network as a manifest holds them."""
    return asdict(config)


def config_from_manifest(manifest: Mapping[str, Any]) -> Config:
    """The numbers that the weights of a manifest were trained with.

    Raises:
        UnknownName: this version has no such network.
        WeightsMismatch: the numbers are not those of this network.
    """
    kind = type(entry(manifest["network"]).config)
    names = {field.name for field in fields(kind)}
    given = {name: value for name, value in _ADDED.items() if name in names} | dict(manifest["config"])
    if given.keys() != names:
        raise WeightsMismatch(
            f"weights '{manifest['name']}' and this version of '{manifest['network']}' differ in "
            f"{', '.join(sorted(given.keys() ^ names))}: use the weights that came with this version"
        )
    numbers = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    usual = entry(manifest["network"]).config
    if wrong := [key for key, value in numbers.items() if not _is_like(value, getattr(usual, key))]:
        raise WeightsMismatch(
            f"weights '{manifest['name']}': config.{wrong[0]} is {str(numbers[wrong[0]])[:40]!r} there"
        )
    return kind(**numbers)


def create_from_manifest(manifest: Mapping[str, Any]) -> Staged:
    """The network of a manifest, with fresh weights.

    Raises:
        UnknownName: this version has no such network.
        WeightsMismatch: the numbers are not those of this network, or make none.
    """
    build, config = entry(manifest["network"]).build, config_from_manifest(manifest)
    try:
        with torch.device("meta"):  # no memory before it is known that they make one, and how large
            size = count_parameters(build(config))
    except _BUILDING as error:
        why = one_line(error, 120)
        raise WeightsMismatch(
            f"weights '{manifest['name']}': the config of their manifest makes no '{manifest['network']}' ({why})"
        ) from error
    told = manifest.get("parameters", size)
    if told != size:
        raise WeightsMismatch(f"weights '{manifest['name']}' have {told} parameters, their config makes {size}")
    return build(config)


def _is_like(value: Any, usual: Any) -> bool:
    """Whether a number of a manifest is of the kind, and of some size, that the network's own is."""
    if usual is None or value is None:
        return usual is None
    if isinstance(usual, tuple):
        return isinstance(value, tuple) and all(_is_like(one, usual[0]) for one in value if usual)
    if isinstance(usual, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
    return type(value) is type(usual) and (not isinstance(value, int) or abs(value) <= _LARGEST)


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(p.numel() for p in network.parameters())


def count_gmac(network: Staged) -> dict[str, float]:
    """10^9 multiply-adds of each stage for one item, counted on a run without data ("meta" device).

    Normalisation, activation and interpolation are not counted; the matrix products of attention and RoIAlign are.
    """
    ghost = copy.deepcopy(network).to("meta").eval()
    counts = {}
    for name, stage in ghost.stages().items():
        inputs = [torch.empty(sizes(shape, batch=1), device="meta") for shape in stage.inputs.values()]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            getattr(ghost, stage.method)(*inputs)
        counts[name] = counter.get_total_flops() / 2e9
    return counts


def describe(name: str) -> Description:
    """Parameters and multiply-adds of a network."""
    with torch.device("meta"):  # shapes are enough
        network = create(name)
    return Description(name, count_parameters(network), count_gmac(network))
