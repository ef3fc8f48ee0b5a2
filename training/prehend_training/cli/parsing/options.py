"""What the verbs of `prehend-train` have in common."""

import argparse
import logging
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import OneLineParser, count_from
from prehend.errors import InvalidInput

if TYPE_CHECKING:
    from prehend_training.engine import EngineOptions
    from prehend_training.train.loop.preset import Preset

RENAMED_VERBS = {"places": "hard-negatives"}
"""Old names of verbs, which go with the next version."""

logger = logging.getLogger(__name__)


class CommandParser(OneLineParser):
    """Of the whole command.

    Attributes:
        verbs: by name.
    """

    verbs: Mapping[str, argparse.ArgumentParser] = MappingProxyType({})


def number_from(low: float) -> Callable[[str], float]:
    """Type of an argument: a finite number that is not below another."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is no number from {low:g} on")
        return value

    parse.__name__ = "number"  # argparse names it where the text is none
    return parse


def torch_device(text: str) -> str:
    """Type of an argument: a device that torch knows the name of."""
    if text != "cpu":
        import torch

        try:
            torch.device(text)
        except RuntimeError:
            raise argparse.ArgumentTypeError(f"torch knows no device '{text}': cpu, cuda or cuda:1") from None
    return text


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device, where a network computes."""
    parser.add_argument("--device", type=torch_device, default="cpu", help="torch device (cpu)")


def add_seed(parser: argparse.ArgumentParser, text: str, default: int | None = 0) -> None:
    """--seed; `text` says of what, `default` is None where a configuration has its own."""
    parser.add_argument("--seed", type=count_from(0), default=default, help=text)


def add_verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    """A parser of `verbs` for one verb, which calls `run`."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    return parser


class _Renamed(argparse.Action):
    """An option under its old name: does what it did, and says what it is called now."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        warn_renamed(str(option_string), f"--{self.dest.replace('_', '-')}")
        setattr(namespace, self.dest, values)


def keep_old_option(parser: argparse.ArgumentParser, old: str, new: str, **kept: Any) -> None:
    """Let an option also be called what it was, for a version; `kept` are its type or choices."""
    dest = new.removeprefix("--").replace("-", "_")
    parser.add_argument(old, dest=dest, action=_Renamed, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **kept)


def warn_renamed(old: str, new: str) -> None:
    """Say that a name goes."""
    logger.warning("%s is called %s now; the old name goes with the next version", old, new)


def named_preset(name: str) -> "Preset":
    """The preset that an argument names; says so where it is an old name.

    Raises:
        UnknownName: there is none.
    """
    from prehend_training.train.loop.preset import RENAMED
    from prehend_training.train.presets import preset

    if name in RENAMED:
        warn_renamed(f"preset {name}", RENAMED[name])
    return preset(name)


def add_engine(parser: argparse.ArgumentParser, processes: int) -> None:
    """Where work is done that machines can share, see `engine_of`; `processes` of this one where none are named."""
    parser.add_argument(
        "--workers",
        type=count_from(0),
        help=f"processes (0: this one; {processes}); with --engine ray actors (one a CPU)",
    )
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="where the work is done (local)")
    parser.add_argument("--address", help="of the Ray cluster (RAY_ADDRESS, or one of this machine alone)")
    parser.add_argument(
        "--gpus-per-worker", type=number_from(0), default=0.0, help="share of a GPU for each Ray actor (0)"
    )
    parser.set_defaults(local_processes=processes)


def engine_of(arguments: argparse.Namespace) -> "EngineOptions":
    """What the options of `add_engine` name.

    Raises:
        InvalidInput: options of a cluster without one.
    """
    from prehend_training.engine import EngineOptions

    local = arguments.engine == "local"
    if local and (arguments.address is not None or arguments.gpus_per_worker):
        raise InvalidInput("--address and --gpus-per-worker go with --engine ray")
    workers = arguments.workers if arguments.workers is not None else local * arguments.local_processes
    return EngineOptions(arguments.engine, workers, arguments.address, arguments.gpus_per_worker)
