#!/usr/bin/env python3
"""Train Prehend's networks on a machine with a CUDA GPU, in minutes and without a network. docs/TRAINING_ON_A_GPU.md.

Needs torch 2.11 or later, numpy and OpenCV on the machine; what else is missing comes as a folder of wheels (--wheels).
The same command goes on from what an earlier one left in WORK: it ends with 0 when everything is done and with 3 when
the time of the call (--call-minutes) ended before.
"""

import argparse
import logging
import os
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prehend_training.experiments.one_machine import MachinePlan

ROOT = Path(__file__).resolve().parents[1]
CALL_AGAIN = 3

# Processes that render are started afresh with this list of places, so that they find everything too
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "training")]


def add_wheels(wheels: Path, site: Path) -> None:
    """Unpack the wheels of a folder and let Python find what is in them after all that the machine has itself.

    Args:
        wheels: files NAME-VERSION-...whl for this Python and machine, or folders with packages in them.
        site: where files are unpacked to; what is there already is not unpacked again.
    """
    sys.path += [str(path) for path in sorted(wheels.iterdir()) if path.is_dir()]
    for wheel in sorted(wheels.glob("*.whl")):
        out = site / wheel.stem
        if not out.exists():
            partial = site / f"{wheel.stem}.partial"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(partial)
            partial.rename(out)
        sys.path.append(str(out))


def parser() -> argparse.ArgumentParser:
    """The options."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.RawTextHelpFormatter)
    add = parse.add_argument
    add("work", type=Path, metavar="WORK", help="folder for everything; the same command goes on from it")
    add("--wheels", type=Path, metavar="DIR", help="folder of wheels, or of unpacked packages, that the machine lacks")
    add("--doctor", action="store_true", help="only say what the machine has: GPU, OpenGL, cores, memory")
    add("--data", type=Path, action="append", default=[], metavar="DIR", help="existing shards; may be repeated")
    add("--test", type=Path, metavar="DIR", help="existing shards to measure on")
    add("--render-minutes", type=float, default=6.0, help="time for rendering where no --data are given (6)")
    add("--count", type=int, default=150_000, help="most pictures to render and to keep in the GPU's memory (150000)")
    add("--test-count", type=int, default=1024, help="pictures to render for measuring (1024)")
    add("--seed", type=int, default=51, help="of the scenes (51)")
    add("--photos", type=Path, metavar="DIR", help="photographs for backgrounds")
    add("--size", type=int, help="width of rendered images (crops 160, frames 320)")
    add("--preset", default="unihope-xs", help="what to train: unihope-xs, unihope-b, detector (unihope-xs)")
    budget = parse.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, default=10.0, help="of training it, over all calls (10)")
    budget.add_argument("--steps", type=int, help="a budget in steps instead")
    add("--teacher-preset", default="unihope-b", help="what to train first, as a teacher (unihope-b)")
    teacher = parse.add_mutually_exclusive_group()
    teacher.add_argument("--teacher-minutes", type=float, help="of training it; without there is no teacher")
    teacher.add_argument("--teacher-steps", type=int, help="a budget in steps instead")
    teacher.add_argument("--teacher", type=Path, metavar="RUN", help="an existing run to learn from instead")
    add("--start", type=Path, metavar="RUN", action="append", default=[], help="run to start from, may be repeated")
    add("--batch", type=int, help="samples a step, in place of the recipe's")
    add("--lr", type=float, help="highest learning rate, in place of the recipe's")
    add("--no-twins", action="store_true", help="render no de-occluded twins and do not learn from pairs")
    add("--strong", action="store_true", help="stronger changes of pictures, for the step from rendered to real")
    add("--device", default="cuda", help="torch device (cuda)")
    add("--precision", choices=("bf16", "fp16", "fp32"), default="bf16", help="of products and convolutions (bf16)")
    add("--compile", action="store_true", help="compile the trunk with torch.compile")
    add("--workers", type=int, default=os.cpu_count(), help="processes that render and decode (all cores)")
    add("--call-minutes", type=float, default=1e6, help="save and end this call after so many minutes")
    return parse


def main(argv: list[str] | None = None) -> int:
    """Run a call: 0 done, 1 failed (one line says why), 2 wrong use, 3 call again."""
    began = time.monotonic()
    options = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # the number of objects in a batch changes, and with it the size of the blocks that are asked for
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if options.wheels is not None:
        add_wheels(options.wheels, options.work / "site")
    from prehend.errors import PrehendError
    from prehend_training.experiments.one_machine import Call, describe_machine

    if options.doctor:
        sys.stdout.write(describe_machine(options.device) + "\n")
        return 0
    try:
        done = Call(plan_of(options), began + 60 * options.call_minutes).run()
    except PrehendError as error:
        sys.stderr.write(f"train_on_gpu: {error}\n")
        return 1
    if not done:
        sys.stderr.write("the time of this call is over; the same command goes on from here\n")
    return 0 if done else CALL_AGAIN


def plan_of(options: argparse.Namespace) -> "MachinePlan":
    """The plan of the options."""
    from prehend_training.experiments.one_machine import MachinePlan
    from prehend_training.train.loop.machine import Budget, Machine
    from prehend_training.train.presets import Changes

    teacher_budget = None
    if options.teacher_minutes or options.teacher_steps:
        teacher_budget = Budget(options.teacher_minutes, options.teacher_steps)
    return MachinePlan(
        work=options.work,
        data=tuple(options.data),
        test=options.test,
        render_minutes=options.render_minutes,
        count=options.count,
        test_count=options.test_count,
        seed=options.seed,
        photos=options.photos,
        size_px=options.size,
        preset=options.preset,
        budget=Budget(None if options.steps else options.minutes, options.steps),
        teacher_preset=options.teacher_preset,
        teacher_budget=teacher_budget,
        teacher=options.teacher,
        start=tuple(options.start),
        changes=Changes(True, options.batch, options.lr, twins=not options.no_twins, strong=options.strong),
        machine=Machine(device=options.device, precision=options.precision, compiled=options.compile),
        workers=options.workers,
    )


if __name__ == "__main__":
    sys.exit(main())
