"""The command `prehend-train`: scenes, show, stats, objects, grasps, train, evaluate, export."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prehend.errors import InvalidInput, PrehendError
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
    from prehend_training.engine.scenes import SIZES_PX, Kind, SceneConfig
    from prehend_training.loop import Budget, Machine, train_run
    from prehend_training.presets import CropPreset, preset

    chosen = preset(arguments.preset)
    if arguments.seed is not None:
        chosen = replace(chosen, seed=arguments.seed)
    if arguments.online == bool(arguments.data):
        raise InvalidInput("give either --data or --online")
    if arguments.photos is not None and not arguments.online:
        raise InvalidInput("--photos goes with --online; shards have their backgrounds already")
    workers = int(arguments.online) if arguments.workers is None else arguments.workers
    machine = Machine(arguments.processes, arguments.threads, workers, arguments.device)
    budget = Budget(arguments.minutes, arguments.steps)
    data = arguments.data
    if arguments.online:
        kind: Kind = "crops" if isinstance(chosen, CropPreset) else "frames"
        data = SceneConfig(kind, chosen.seed, SIZES_PX[kind], photos=arguments.photos)
    train_run(chosen, data, arguments.run_folder, machine, budget, arguments.start)


def _evaluate(arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate import evaluate_run

    report = evaluate_run(arguments.run_folder, arguments.data, arguments.limit)
    text = json.dumps(report, indent=1)
    (arguments.run_folder / "measured.json").write_text(text + "\n")
    sys.stdout.write(text + "\n")


def _export(arguments: argparse.Namespace) -> None:
    from prehend_training.export import export_run

    bundle = export_run(arguments.run_folder, arguments.out)
    sys.stdout.write(f"{bundle.folder}: {bundle.network}, weights {bundle.weights_sha256[:12]}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prehend-train", description="Render scenes, train and export networks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_scene_verbs(verbs)
    add_look_verbs(verbs)

    train = add_verb(verbs, "train", _train, "train a preset; a run that stopped goes on")
    train.add_argument("preset", help="name of the preset")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    train.add_argument("--data", type=Path, action="append", help="folder of shards, may be repeated")
    train.add_argument("--online", action="store_true", help="render scenes while training, in place of --data")
    train.add_argument("--photos", type=Path, help="folder with photographs for backgrounds of --online")
    budget = train.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    train.add_argument("--start", type=Path, metavar="RUN", help="run whose weights a fresh run starts from")
    train.add_argument("--seed", type=int, help="in place of the preset's; of --online scenes too")
    train.add_argument("--processes", type=int, default=1, help="processes that share each batch (1)")
    train.add_argument("--threads", type=int, default=0, help="torch threads of each (0: torch's choice)")
    train.add_argument(
        "--workers", type=int, help="processes of each that make batches (0: a thread; with --online 1, which renders)"
    )
    train.add_argument("--device", default="cpu", help="torch device (cpu)")

    evaluate = add_verb(
        verbs, "evaluate", _evaluate, "measure a run on scenes of another seed; writes RUN/measured.json"
    )
    evaluate.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of shards")
    evaluate.add_argument("--limit", type=int, help="largest number of samples")

    export = add_verb(verbs, "export", _export, "write the weights of a run as a bundle that prehend loads")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    export.add_argument("--out", type=Path, required=True, help="folder of the bundle, e.g. src/prehend/weights/NAME")
    return parser


if __name__ == "__main__":
    sys.exit(main())
