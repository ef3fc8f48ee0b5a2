"""The verbs of `prehend-train boost`: conditions, a generator, its images, and which of them are kept."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import count_from
from prehend.errors import InvalidInput
from prehend_training.cli.parsing.annotation import add_pose_source
from prehend_training.cli.parsing.data import weighted
from prehend_training.cli.parsing.options import add_device, add_engine, add_seed, add_verb, engine_of
from prehend_training.cli.parsing.training import (
    add_budget,
    add_machine,
    add_table,
    extent_of,
    machine_of,
    until_of,
    write_table,
)

if TYPE_CHECKING:
    from prehend_training.data.stores.open import Mixture


_BESIDE_MAPS = "also write sheet.png: crops beside their maps"


def add_boost_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    boost: argparse.ArgumentParser = verbs.add_parser(
        "boost", help="make images of hands with a diffusion model of your own (docs/HANDBOOSTER.md)"
    )
    steps = boost.add_subparsers(dest="step", required=True)
    _add_fit(steps)
    _add_train(steps)
    _add_create(steps)
    _add_sample(steps)
    _add_filter(steps)
    _add_compare(steps)


def _add_fit(steps: Any) -> None:
    fit = add_verb(
        steps,
        "fit",
        _fit,
        "turn photographs whose hands our network fits well enough into crops with hands in metres; goes on where it "
        "stopped",
    )
    fit.add_argument("labels", type=Path, metavar="LABELS", help="file of `prehend-train label`")
    fit.add_argument("--out", type=Path, required=True, metavar="FITS", help="folder of the crops")
    fit.add_argument("--split", choices=("train", "validation"), default="train", help="of the photographs (train)")
    add_pose_source(fit, "hands")
    fit.add_argument("--size", type=int, default=128, metavar="PX", help="side of the crops (128)")
    fit.add_argument(
        "--residual", type=float, help="largest RMS distance of the joints over the hand's longer side (0.04)"
    )
    fit.add_argument("--worst", type=float, help="largest distance of one joint, likewise (0.14)")
    fit.add_argument("--bent", type=float, help="largest RMS angle [rad] by which the network's pose is moved (0.3)")
    fit.add_argument("--least-px", type=float, help="smallest longer side of a hand [px] (48)")
    _add_sheet(fit, _BESIDE_MAPS)
    add_engine(fit, processes=0)


def _add_train(steps: Any) -> None:
    train = add_verb(steps, "train", _train, "train a generator; a run that stopped goes on")
    train.add_argument("preset", help="handbooster-s (64 px), handbooster-b (128 px, the paper's), debug-handbooster")
    train.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    train.add_argument(
        "--data", action="append", required=True, metavar="DIR[=WEIGHT]",
        help="folder of crops with hands in metres: of `boost fit`, `scenes --kind crops`; may be repeated, each has "
        "the share of its weight (1)",
    )  # fmt: skip
    add_budget(train)
    add_seed(train, "of fresh weights and batches (0)", None)
    train.add_argument("--batch", type=int, metavar="N", help="images a step")
    train.add_argument("--lr", type=float, help="highest learning rate")
    add_machine(train, processes=False)


def _add_create(steps: Any) -> None:
    create = add_verb(steps, "create", _create, "draw new conditions: grasps and views unlike those there are")
    create.add_argument("--out", type=Path, required=True, metavar="CONDITIONS", help="folder of the conditions")
    create.add_argument("--count", type=int, required=True, help="number of conditions; may be raised later")
    add_seed(create, "a condition depends on it and its number alone (0)")
    create.add_argument("--size", type=int, default=128, metavar="PX", help="side of the crops (128)")
    create.add_argument(
        "--real", type=Path, action="append", default=[], metavar="DIR",
        help="crops of hands that there are images of (`boost fit`): grasps shall be unlike them, views and bare "
        "hands come from them; may be repeated",
    )  # fmt: skip
    create.add_argument("--real-share", type=float, default=0.2, help="conditions with a real hand's pose (0.2)")
    create.add_argument("--object", action="append", default=[], metavar="ID", help="object to hold, repeatable (all)")
    create.add_argument("--library", type=Path, metavar="DIR", help="folder of grasps (the shipped one)")
    create.add_argument(
        "--asset-split",
        choices=("all", "training", "held-out"),
        default="all",
        help="objects and skins that may appear, as for scenes (all)",
    )
    create.add_argument("--synthetic", type=int, default=48, metavar="N", help="grasps kept of each object (48)")
    create.add_argument("--real-count", type=int, default=200, metavar="M", help="real hands kept (200)")
    create.add_argument("--turn", type=float, default=30.0, metavar="DEG", help="of views, about each axis (30)")
    create.add_argument("--shape", type=float, default=0.4, help="spread of the change of a hand's shape (0.4)")
    _add_sheet(create, _BESIDE_MAPS)
    add_engine(create, processes=0)


def _add_sample(steps: Any) -> None:
    sample = add_verb(steps, "sample", _sample, "make images for conditions; goes on where it stopped")
    sample.add_argument("run_folder", type=Path, metavar="RUN", help="run of `boost train`")
    sample.add_argument("--conditions", type=Path, required=True, metavar="DIR", help="folder of `boost create`")
    sample.add_argument("--out", type=Path, required=True, metavar="MADE", help="folder of the images")
    sample.add_argument("--steps", type=int, default=30, help="of DDIM (30)")
    sample.add_argument("--guidance", type=float, default=3.0, help="weight of the orientation, 1 for none (3)")
    sample.add_argument("--eta", type=float, default=0.0, help="share of fresh noise in each step (0)")
    sample.add_argument("--variants", type=int, default=1, metavar="N", help="images of each condition (1)")
    add_seed(sample, "of the noise (0)")
    sample.add_argument("--batch", type=int, default=16, metavar="N", help="images at once; halved if it must (16)")
    sample.add_argument("--limit", type=int, metavar="N", help="conditions, from the first on; may be raised later")
    _add_sheet(sample, "also write MADE/sheet.png")
    add_device(sample)
    add_engine(sample, processes=0)


def _add_filter(steps: Any) -> None:
    keep = add_verb(
        steps,
        "filter",
        _filter,
        "keep the images in which a network of ours sees what they were made for, as crops to train on; also writes "
        "rates.json and judged.png",
    )
    keep.add_argument("made", type=Path, metavar="MADE", help="folder of `boost sample`")
    keep.add_argument("--out", type=Path, required=True, metavar="KEPT", help="folder of the crops that are kept")
    keep.add_argument("--judge", default="unihope-s", metavar="WHAT", help="weights or run that looks (unihope-s)")
    keep.add_argument("--error-mm", type=float, default=25.0, help="largest J-PE and V-PE (25, the paper's of DexYCB)")
    keep.add_argument("--aligned-mm", type=float, default=10.0, help="largest error once aligned (10, likewise)")
    keep.add_argument("--quantile", type=float, metavar="Q", help="keep this share with the smallest errors instead")
    _add_sheet(keep, "of judged.png (6); 0 for none", 6)
    add_device(keep)
    add_engine(keep, processes=0)


def _add_compare(steps: Any) -> None:
    compare = add_verb(
        steps,
        "compare",
        _compare,
        "do the images help? Train presets on scenes, on scenes and made images, and on scenes and as many further "
        "scenes; what is complete is not trained again",
    )
    compare.add_argument("preset", nargs="+", help="presets to train, e.g. unihope-s")
    compare.add_argument("--scenes", type=Path, required=True, metavar="DIR", help="crops that all rows learn from")
    compare.add_argument("--made", type=Path, required=True, metavar="DIR", help="folder of `boost filter`")
    compare.add_argument("--further", type=Path, required=True, metavar="DIR", help="further crops, as many as made")
    compare.add_argument("--share", type=float, default=0.3, help="of made images, and of further scenes (0.3)")
    compare.add_argument(
        "--photos", type=Path, metavar="LABELS", help="labelled photographs to measure on (validation)"
    )
    compare.add_argument("--batch", type=count_from(1), metavar="N", help="samples a step (the preset's)")
    add_table(compare, "crops")


def _add_sheet(parser: argparse.ArgumentParser, text: str, rows: int = 0) -> None:
    parser.add_argument("--sheet", type=count_from(0), default=rows, metavar="ROWS", help=text)


def _fit(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.fit import FitConfig, FitRule, fit_photographs

    names = ("residual", "worst", "bent", "least_px")
    rule = FitRule(**{name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None})
    config = FitConfig(
        arguments.labels, arguments.split, arguments.model, arguments.size, arguments.limit, rule
    )  # fmt: skip
    counts = fit_photographs(arguments.out, config, engine_of(arguments))
    if counts.get("kept"):
        _write_conditions(arguments)
    sys.stdout.write(json.dumps(counts) + "\n")


def _train(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.generator.preset import booster
    from prehend_training.boost.generator.run import train_booster
    from prehend_training.train.loop.machine import Budget
    from prehend_training.train.loop.preset import Changes, renumbered

    chosen = booster(arguments.preset)
    changes = Changes(batch_size=arguments.batch, lr=arguments.lr, seed=arguments.seed)
    if any(value is not None and not value > 0 for value in (changes.batch_size, changes.lr)):
        raise InvalidInput("--batch and --lr must be positive")
    chosen = renumbered(chosen, changes, chosen.optimisation)
    data, budget = _folders(arguments.data), Budget(arguments.minutes, arguments.steps)
    machine = machine_of(arguments, data)
    train_booster(chosen, data, arguments.run_folder, budget, machine, until_of(arguments))


def _folders(texts: list[str]) -> "Mixture":
    from prehend_training.data.stores.datasets import window_counts
    from prehend_training.data.stores.open import Mixture

    named = [(path, 1.0 if weight is None else weight) for path, weight in map(weighted, texts)]
    window_counts([weight for _, weight in named])  # asks whether they are usable
    return Mixture(tuple(([Path(path)], weight) for path, weight in named))


def _create(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.create import CreateConfig, create_conditions

    config = CreateConfig(
        arguments.seed,
        arguments.size,
        tuple(arguments.object),
        tuple(arguments.real),
        arguments.real_share,
        arguments.synthetic,
        arguments.real_count,
        arguments.turn,
        arguments.shape,
        arguments.library,
        arguments.asset_split,
    )
    index = create_conditions(arguments.out, config, arguments.count, engine_of(arguments))
    _write_conditions(arguments)
    sys.stdout.write(f"{index}\n")


def _write_conditions(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.sheet import write_conditions

    if arguments.sheet > 0:
        write_conditions(arguments.out / "sheet.png", arguments.out, arguments.sheet)


def _sample(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.sampling import SampleConfig, sample_pictures
    from prehend_training.boost.sheet import write_sheet

    names = ("steps", "guidance", "eta", "variants", "seed", "batch", "device", "limit")
    given = {name: getattr(arguments, name) for name in names}
    config = SampleConfig(arguments.run_folder, arguments.conditions, **given)
    index = sample_pictures(arguments.out, config, engine_of(arguments))
    if arguments.sheet > 0:
        write_sheet(arguments.out / "sheet.png", arguments.out, arguments.conditions, arguments.sheet)
    sys.stdout.write(f"{index}\n")


def _filter(arguments: argparse.Namespace) -> None:
    from prehend_training.boost.filter import FilterConfig, filter_pictures
    from prehend_training.boost.sheet import write_judged

    names = ("judge", "error_mm", "aligned_mm", "quantile", "device")
    config = FilterConfig(arguments.made, **{name: getattr(arguments, name) for name in names})
    rates = filter_pictures(arguments.out, config, engine_of(arguments))
    if arguments.sheet > 0:
        write_judged(arguments.out / "judged.png", arguments.made, arguments.out, arguments.sheet)
    told = {name: rates[name] for name in ("limits_mm", "all", "by_object", "errors_mm")}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def _compare(arguments: argparse.Namespace) -> None:
    from prehend_training.experiments.boost import Compared, comparison_table

    extent = extent_of(arguments)
    compared = Compared(arguments.scenes, arguments.made, arguments.further, arguments.share)
    table = comparison_table(arguments.preset, compared, extent, arguments.photos, arguments.batch)
    write_table(arguments, table, [arguments.scenes])
