"""The verb `train` of `prehend-train`."""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from prehend.cli.arguments.parsing import count_from, number_between
from prehend_training.cli.parsing.data import add_data_options, chosen_data
from prehend_training.cli.parsing.options import add_verb, named_preset
from prehend_training.cli.parsing.training import add_budget, add_machine, add_start, machine_of, until_of


def add_train_verb(verbs: Any) -> None:
    """Add the verb `train`."""
    train = add_verb(verbs, "train", _train, "train a preset; a run that stopped goes on")
    train.add_argument("preset", help="name of the preset")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    add_data_options(train)
    add_budget(train)
    add_start(train, "a fresh run starts")
    _add_changes(train)
    add_machine(train)
    train.add_argument("--compile", action="store_true", help="compile the trunk of a crop network (CUDA)")
    train.add_argument(
        "--in-memory",
        type=int,
        metavar="N",
        help="keep up to N images of --data decoded in the device's memory, which makes the pixels of the batches: "
        "what a GPU needs, with --workers that draw them. Not for scenes rendered --online and windows of films",
    )


def _add_changes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("numbers", "In place of the preset's; RUN/run.json tells what differs from it.")
    group.add_argument("--seed", type=count_from(0), help="of fresh weights and batches; of --online scenes too")
    group.add_argument("--batch", type=count_from(1), metavar="N", help="samples a step")
    group.add_argument("--lr", type=number_between(0, math.inf), help="highest learning rate")
    group.add_argument(
        "--large-batches",
        action="store_true",
        help="batch size, rate and optimiser as a GPU wants them, and our losses in place of the paper's",
    )
    group.add_argument("--no-twins", action="store_true", help="do not learn from pairs with the de-occluded twin")
    group.add_argument("--strong", action="store_true", help="stronger changes of crops, for the step to real images")
    group.add_argument(
        "--teacher", type=Path, metavar="RUN",
        help="run to learn from as well: of a crop network, of sima-s-views for sima-s",
    )  # fmt: skip


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.train.loop.machine import Budget
    from prehend_training.train.presets import Changes, changed_preset
    from prehend_training.train.runs import Training, train_run

    changes = Changes(
        large_batches=arguments.large_batches,
        batch_size=arguments.batch,
        lr=arguments.lr,
        taught=arguments.teacher is not None,
        twins=not arguments.no_twins,
        strong=arguments.strong,
        seed=arguments.seed,
    )
    chosen = changed_preset(named_preset(arguments.preset), changes)
    data = chosen_data(arguments, chosen)
    budget = Budget(arguments.minutes, arguments.steps)
    training = Training(chosen, data, arguments.run_folder, budget, tuple(arguments.start), arguments.teacher)
    machine = replace(machine_of(arguments, data), in_memory=arguments.in_memory, compiled=arguments.compile)
    train_run(training, machine, until_of(arguments))
