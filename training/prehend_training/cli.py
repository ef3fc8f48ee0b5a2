"""The command `prehend-train`: scenes, show, stats, objects, grasps, train, evaluate, export."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prehend.errors import PrehendError
from prehend_training.cli_data import add_data_options, chosen_data
from prehend_training.cli_deocclude import add_deocclude_verb
from prehend_training.cli_evaluate import add_evaluate_verb
from prehend_training.cli_looks import add_look_verbs
from prehend_training.cli_scenes import add_scene_verbs, add_verb

FAILED, INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; 0 when done, 1 when it failed (one line says why), 2 from the parser for wrong use, 130 when it was
    stopped by Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except PrehendError as error:
        sys.stderr.write(f"prehend-train {arguments.verb}: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"prehend-train {arguments.verb}: stopped; the same command goes on from what is complete\n")
        return INTERRUPTED
    return 0


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.loop import Budget, Machine, train_run
    from prehend_training.presets import preset
    from prehend_training.sources import renders

    chosen = preset(arguments.preset)
    if arguments.seed is not None:
        chosen = replace(chosen, seed=arguments.seed)
    data = chosen_data(arguments, chosen)
    workers = int(renders(data)) if arguments.workers is None else arguments.workers
    machine = Machine(arguments.processes, arguments.threads, workers, arguments.device, arguments.precision)
    budget = Budget(arguments.minutes, arguments.steps)
    train_run(chosen, data, arguments.run_folder, machine, budget, arguments.start)


def _export(arguments: argparse.Namespace) -> None:
    from prehend_training.export import export_run

    bundle = export_run(arguments.run_folder, arguments.out)
    sys.stdout.write(f"{bundle.folder}: {bundle.network}, weights {bundle.weights_sha256[:12]}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prehend-train", description="Render scenes, train and export networks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_scene_verbs(verbs)
    add_look_verbs(verbs)
    add_deocclude_verb(verbs)

    train = add_verb(verbs, "train", _train, "train a preset; a run that stopped goes on")
    train.add_argument("preset", help="name of the preset")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    add_data_options(train)
    budget = train.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    train.add_argument(
        "--start",
        type=Path,
        metavar="RUN",
        action="append",
        default=[],
        help="run whose weights a fresh run starts from; may be repeated: one for the trunk, one for the pose head",
    )
    train.add_argument("--seed", type=int, help="in place of the preset's; of --online scenes too")
    train.add_argument("--processes", type=int, default=1, help="processes that share each batch (1)")
    train.add_argument("--threads", type=int, default=0, help="torch threads of each (0: torch's choice)")
    train.add_argument(
        "--workers", type=int, help="processes of each that make batches (0: a thread; with --online 1, which renders)"
    )
    train.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="torch device (cpu)")
    train.add_argument(
        "--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="of products and convolutions (fp32)"
    )

    add_evaluate_verb(verbs)

    export = add_verb(verbs, "export", _export, "write the weights of a run as a bundle that prehend loads")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    export.add_argument("--out", type=Path, required=True, help="folder of the bundle, e.g. src/prehend/weights/NAME")
    return parser


if __name__ == "__main__":
    sys.exit(main())
