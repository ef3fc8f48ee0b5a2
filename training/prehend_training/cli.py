"""The command `prehend-train`: scenes, show, train, evaluate, export."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from prehend.errors import InvalidInput, PrehendError
from prehend_training.shards import Kind, MakeSample

FAILED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; 0 when done, 1 when it failed (one line says why), 2 from the parser for wrong use."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except PrehendError as error:
        sys.stderr.write(f"prehend-train {arguments.verb}: {error}\n")
        return FAILED
    return 0


def open_scenes(photos: Path | None, kind: Kind, seed: int, size_px: int) -> MakeSample:
    """The renderer as a function from a sample's number to the sample."""
    from prehend_training.scenes.render import SceneRenderer, crop_sample, frame_sample

    renderer = SceneRenderer(photos)
    make = crop_sample if kind == "crops" else frame_sample
    return lambda index: make(renderer, seed, index, size_px)


def _scenes(arguments: argparse.Namespace) -> None:
    from prehend_training.shards import write_shards

    size = arguments.size or {"crops": 160, "frames": 320}[arguments.kind]
    opener = partial(open_scenes, arguments.photos)
    write_shards(arguments.out, arguments.kind, arguments.count, arguments.seed, size, opener, arguments.workers)


def _show(arguments: argparse.Namespace) -> None:
    import cv2

    from prehend_training.presets import preset
    from prehend_training.shards import ShardFolder
    from prehend_training.show import contact_sheet

    name = arguments.preset or {"crops": "unihope-s", "frames": "finder"}[ShardFolder.open(arguments.data).kind]
    sheet = contact_sheet(preset(name), [arguments.data], arguments.count, arguments.columns, not arguments.plain)
    if not cv2.imwrite(str(arguments.out), sheet[..., ::-1]):
        raise InvalidInput(f"{arguments.out} cannot be written: is its folder there, and its ending .png or .jpg?")


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.loop import Budget, Machine, train_run
    from prehend_training.presets import preset

    chosen = preset(arguments.preset)
    if arguments.seed is not None:
        chosen = replace(chosen, seed=arguments.seed)
    machine = Machine(arguments.processes, arguments.threads, arguments.workers, arguments.device)
    budget = Budget(arguments.minutes, arguments.steps)
    train_run(chosen, arguments.data, arguments.run_folder, machine, budget, arguments.start)


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

    scenes = _verb(verbs, "scenes", _scenes, "render scenes into a folder of shards; goes on where it stopped")
    scenes.add_argument("--kind", choices=("crops", "frames"), required=True, help="crops of hands or whole frames")
    scenes.add_argument("--count", type=int, required=True, help="number of pictures")
    scenes.add_argument("--seed", type=int, required=True, help="the pictures depend on it alone")
    scenes.add_argument("--out", type=Path, required=True, help="folder of the shards")
    scenes.add_argument("--workers", type=int, default=1, help="processes (1)")
    scenes.add_argument("--size", type=int, help="width in pixels (160 for crops, 320 for frames)")
    scenes.add_argument("--photos", type=Path, help="folder with photographs for backgrounds")

    show = _verb(verbs, "show", _show, "a contact sheet of samples as the network gets them, with their targets")
    show.add_argument("data", type=Path, help="folder of shards")
    show.add_argument("--out", type=Path, required=True, help="picture to write")
    show.add_argument("--count", type=int, default=24, help="samples (24)")
    show.add_argument("--columns", type=int, default=6, help="samples in a row (6)")
    show.add_argument("--preset", help="whose batches (unihope-s for crops, finder for frames)")
    show.add_argument("--plain", action="store_true", help="crops without augmentation")

    train = _verb(verbs, "train", _train, "train a preset; a run that stopped goes on")
    train.add_argument("preset", help="name of the preset")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    train.add_argument("--data", type=Path, action="append", required=True, help="folder of shards, may be repeated")
    budget = train.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="time budget; the schedule follows it")
    budget.add_argument("--steps", type=int, help="budget in steps")
    train.add_argument("--start", type=Path, metavar="RUN", help="run whose weights a fresh run starts from")
    train.add_argument("--seed", type=int, help="in place of the preset's")
    train.add_argument("--processes", type=int, default=1, help="processes that share each batch (1)")
    train.add_argument("--threads", type=int, default=0, help="torch threads of each (0: torch's choice)")
    train.add_argument("--workers", type=int, default=1, help="workers of each that make batches (1: a thread)")
    train.add_argument("--device", default="cpu", help="torch device (cpu)")

    evaluate = _verb(verbs, "evaluate", _evaluate, "measure a run on scenes of another seed; writes RUN/measured.json")
    evaluate.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    evaluate.add_argument("--data", type=Path, required=True, help="folder of shards")
    evaluate.add_argument("--limit", type=int, help="largest number of samples")

    export = _verb(verbs, "export", _export, "write the weights of a run as a bundle that prehend loads")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    export.add_argument("--out", type=Path, required=True, help="folder of the bundle, e.g. src/prehend/weights/NAME")
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    text: str,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
