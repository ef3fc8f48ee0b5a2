"""Options of the verbs that train: budget, start, machine; and those of a table of experiments."""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prehend_training.cli.parsing.options import number_from

if TYPE_CHECKING:
    from prehend_training.data.stores.open import DataSource
    from prehend_training.experiments.table import Extent, Study
    from prehend_training.train.loop.machine import Machine


def add_budget(parser: argparse.ArgumentParser) -> None:
    """--minutes or --steps, and --call-minutes; see `until_of`."""
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    _add_call_minutes(parser)


def _add_call_minutes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--call-minutes", type=number_from(0), help="save and end this call after so many minutes; go on later"
    )


def until_of(arguments: argparse.Namespace) -> float:
    """Reading of `time.monotonic` at which the call ends."""
    return math.inf if arguments.call_minutes is None else time.monotonic() + 60 * arguments.call_minutes


def add_start(parser: argparse.ArgumentParser, who: str) -> None:
    """--start, where the weights of `who` come from."""
    parser.add_argument(
        "--start", type=Path, metavar="RUN", action="append", default=[],
        help=f"what {who} from: a run, weights that ship or were exported (unihope-s, a folder), or a file of "
        "`prehend-train trunk`; may be repeated: one for the trunk, one for the pose head",
    )  # fmt: skip


def add_machine(parser: argparse.ArgumentParser, processes: bool = True) -> None:
    """What to train with, see `machine_of`; `processes`: whether several may share a batch."""
    if processes:
        parser.add_argument("--processes", type=int, default=1, help="processes that share each batch (1)")
    parser.add_argument("--threads", type=int, default=0, help="torch threads of each process (0: torch's choice)")
    parser.add_argument(
        "--workers", type=int, help="processes that make batches (0: a thread; with --online 1, which renders)"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="torch device (cpu)")
    parser.add_argument(
        "--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="of products and convolutions (fp32)"
    )


def machine_of(arguments: argparse.Namespace, data: "DataSource") -> "Machine":
    """What the options of `add_machine` name, for some data."""
    from prehend_training.data.stores.open import renders
    from prehend_training.train.loop.machine import Machine

    workers = int(renders(data)) if arguments.workers is None else arguments.workers
    processes = getattr(arguments, "processes", 1)
    return Machine(processes, arguments.threads, workers, arguments.device, arguments.precision)


def add_table(parser: argparse.ArgumentParser, held_out: str) -> None:
    """What every table of experiments asks for but its rows and their data, see `extent_of`."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of plan, runs and report")
    parser.add_argument(
        "--held-out", type=Path, action="append", required=True, metavar="DIR",
        help=f"{held_out}, to measure on; may be repeated",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, required=True, help="budget of every run in steps")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each row: seeds 0 to N - 1 (3)")
    _add_call_minutes(parser)
    add_start(parser, "all rows start")
    add_machine(parser)


def extent_of(arguments: argparse.Namespace) -> "Extent":
    """How much the options of `add_table` ask for.

    Raises:
        InvalidInput: no seed, or no step.
    """
    from prehend_training.experiments.table import Extent

    return Extent(arguments.steps, range(arguments.seeds), tuple(arguments.held_out), tuple(arguments.start))


def write_table(arguments: argparse.Namespace, table: "Study", data: "DataSource") -> None:
    """Run a table, and print it; `arguments` are those of `add_table`, `data` what its rows learn from."""
    from prehend_training.experiments.table import markdown, run_table

    report = run_table(table, arguments.out, machine_of(arguments, data), until_of(arguments))
    sys.stdout.write(markdown(report))
