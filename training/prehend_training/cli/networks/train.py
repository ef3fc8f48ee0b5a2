"""The verbs of `prehend-train` that train: one run, or the rows of a paper's tables."""

import argparse
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.data import add_data_options, chosen_data
from prehend_training.cli.parsing.options import add_verb, named_preset

if TYPE_CHECKING:
    from prehend_training.data.stores.open import DataSource
    from prehend_training.train.loop.machine import Machine


def add_train_verb(verbs: Any) -> None:
    """Add the verb `train`."""
    train = add_verb(verbs, "train", _train, "train a preset; a run that stopped goes on")
    train.add_argument("preset", help="name of the preset")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    add_data_options(train)
    budget = train.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    _add_start(train, "a fresh run starts")
    train.add_argument("--call-minutes", type=float, help="save and end this call after so many minutes; go on later")
    _add_changes(train)
    _add_machine_options(train)
    train.add_argument("--compile", action="store_true", help="compile the trunk of a crop network (CUDA)")
    train.add_argument(
        "--in-memory",
        type=int,
        metavar="N",
        help="keep up to N images of --data decoded in the device's memory, which makes the pixels of the batches: "
        "what a GPU needs, with --workers that draw them. Not for scenes rendered --online and windows of films",
    )


def add_train_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    add_train_verb(verbs)
    ablate = add_verb(
        verbs,
        "ablate",
        _ablate,
        "train and measure the rows of UniHOPE's Table 7 with several seeds; what is complete is not trained again",
    )
    ablate.add_argument("base", metavar="PRESET", help="preset with ablation rows, e.g. unihope-xs")
    ablate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the runs and the report")
    add_data_options(ablate)
    ablate.add_argument(
        "--held-out", type=Path, action="append", required=True, metavar="DIR",
        help="crops to measure on (scenes --asset-split held-out), may be repeated",
    )  # fmt: skip
    ablate.add_argument("--steps", type=int, required=True, help="budget of every run in steps")
    ablate.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each row: seeds 0 to N - 1 (3)")
    ablate.add_argument("--rows", default="abcdefg", help="rows to compare (abcdefg)")
    _add_start(ablate, "all rows start")
    _add_machine_options(ablate)
    _add_views_table(verbs)


def _add_views_table(verbs: Any) -> None:
    table = add_verb(
        verbs,
        "views-table",
        _views_table,
        "train and measure SiMA-Hand's teacher, student and students without a part (docs/SIMA_HAND.md); what is "
        "complete is not done again, what was stopped goes on",
    )
    table.add_argument("base", metavar="PRESET", help="a student's preset: sima-s or sima-xs")
    table.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of plan, runs and report")
    add_data_options(table)
    table.add_argument(
        "--held-out", type=Path, action="append", required=True, metavar="DIR",
        help="views to measure on (scenes --kind views --asset-split held-out), may be repeated",
    )  # fmt: skip
    table.add_argument("--steps", type=int, required=True, help="budget of every run in steps")
    table.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each row: seeds 0 to N - 1 (3)")
    table.add_argument(
        "--rows", default="views,full,plain,no-shape,no-orientation,no-attention",
        help="rows to compare, separated by commas (views,full,plain,no-shape,no-orientation,no-attention)",
    )  # fmt: skip
    table.add_argument("--call-minutes", type=float, help="save and end this call after so many minutes; go on later")
    _add_start(table, "all rows start")
    _add_machine_options(table)


def _add_changes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("numbers", "In place of the preset's; RUN/run.json tells what differs from it.")
    group.add_argument("--seed", type=int, help="of fresh weights and batches; of --online scenes too")
    group.add_argument("--batch", type=int, metavar="N", help="samples a step")
    group.add_argument("--lr", type=float, help="highest learning rate")
    group.add_argument(
        "--large-batches",
        action="store_true",
        help="batch size, rate and optimiser as a GPU wants them, and our losses in place of the paper's",
    )
    group.add_argument("--no-twins", action="store_true", help="do not learn from pairs with the de-occluded twin")
    group.add_argument("--strong", action="store_true", help="stronger changes of crops, for the step to real pictures")
    group.add_argument(
        "--teacher", type=Path, metavar="RUN",
        help="run to learn from as well: of a crop network, of sima-s-views for sima-s",
    )  # fmt: skip


def _add_start(parser: argparse.ArgumentParser, who: str) -> None:
    parser.add_argument(
        "--start", type=Path, metavar="RUN", action="append", default=[],
        help=f"run whose weights {who} from; may be repeated: one for the trunk, one for the pose head",
    )  # fmt: skip


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=int, default=1, help="processes that share each batch (1)")
    parser.add_argument("--threads", type=int, default=0, help="torch threads of each (0: torch's choice)")
    parser.add_argument(
        "--workers", type=int, help="processes of each that make batches (0: a thread; with --online 1, which renders)"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="torch device (cpu)")
    parser.add_argument(
        "--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="of products and convolutions (fp32)"
    )


def _machine(arguments: argparse.Namespace, data: "DataSource") -> "Machine":
    from prehend_training.data.stores.open import renders
    from prehend_training.train.loop.machine import Machine

    workers = int(renders(data)) if arguments.workers is None else arguments.workers
    return Machine(arguments.processes, arguments.threads, workers, arguments.device, arguments.precision)


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.train.loop.machine import Budget
    from prehend_training.train.presets import Changes, changed_preset
    from prehend_training.train.runs import Training, train_run

    changes = Changes(
        arguments.large_batches,
        arguments.batch,
        arguments.lr,
        arguments.teacher is not None,
        not arguments.no_twins,
        arguments.strong,
        arguments.seed,
    )
    chosen = changed_preset(named_preset(arguments.preset).name, changes)
    data = chosen_data(arguments, chosen)
    budget = Budget(arguments.minutes, arguments.steps)
    training = Training(chosen, data, arguments.run_folder, budget, tuple(arguments.start), arguments.teacher)
    machine = replace(_machine(arguments, data), in_memory=arguments.in_memory, compiled=arguments.compile)
    until_s = math.inf if arguments.call_minutes is None else time.monotonic() + 60 * arguments.call_minutes
    train_run(training, machine, until_s)


def _ablate(arguments: argparse.Namespace) -> None:
    from prehend_training.experiments.ablation import Ablation, markdown, run_ablation
    from prehend_training.train.presets import preset

    if arguments.seeds < 1 or arguments.steps < 1:
        raise InvalidInput("an ablation needs one seed and one step at least")
    data = chosen_data(arguments, preset(arguments.base))
    seeds = range(arguments.seeds)
    ablation = Ablation(
        arguments.base, data, arguments.held_out, arguments.steps, seeds, arguments.rows, arguments.start
    )
    sys.stdout.write(markdown(run_ablation(ablation, arguments.out, _machine(arguments, data))))


def _views_table(arguments: argparse.Namespace) -> None:
    from prehend_training.experiments.views import ViewsTable, markdown, run_views_table
    from prehend_training.train.presets import preset

    if arguments.seeds < 1 or arguments.steps < 1:
        raise InvalidInput("a table needs one seed and one step at least")
    data = chosen_data(arguments, preset(arguments.base))
    rows = [row.strip() for row in arguments.rows.split(",")]
    table = ViewsTable(
        arguments.base, data, arguments.held_out, arguments.steps, range(arguments.seeds), rows, arguments.start
    )
    until_s = math.inf if arguments.call_minutes is None else time.monotonic() + 60 * arguments.call_minutes
    sys.stdout.write(markdown(run_views_table(table, arguments.out, _machine(arguments, data), until_s)))
