"""What `prehend-train train` learns from: its options, and the source they name."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from prehend.errors import InvalidInput

if TYPE_CHECKING:
    from prehend_training.data.stores.open import DatasetChoice, DataSource, SingleSource
    from prehend_training.data.stores.photographs import PhotoChoice
    from prehend_training.train.loop.preset import Preset

PHOTOS = "photos:"
SPLITS = ("train", "validation")

_ABOUT = (
    "At least one source. Several make a mixture: of every 1000 samples each has the share that its WEIGHT is of all "
    "weights (1 where none is given; folders of shards without a weight are one source together)."
)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Options that name sources of images; see `chosen_data`."""
    group = parser.add_argument_group("data", _ABOUT)
    group.add_argument(
        "--data", action="append", default=[], metavar="DIR[=WEIGHT]",
        help="folder of shards (networks of crops take the hands of sequences and views, too), or "
        "photos:LABELS[:SPLIT] for photographs with labels (split train); may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--online",
        nargs="?",
        type=float,
        const=1.0,
        metavar="WEIGHT",
        help="render scenes while training, alone or with this weight beside other sources",
    )
    group.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME[:ROOT[:SPLIT]][=WEIGHT]",
        help="a real dataset, may be repeated; its readers' README names them. Without ROOT its environment variable "
        "says where it is",
    )
    group.add_argument("--mano", type=Path, metavar="DIR", help="folder of your MANO files, for poses of --dataset")
    group.add_argument("--twins", type=Path, metavar="DIR", help="de-occluded images of --dataset, made beforehand")
    group.add_argument("--photos", type=Path, metavar="DIR", help="photographs for backgrounds of --online")
    group.add_argument(
        "--cache",
        type=float,
        default=0.0,
        metavar="GB",
        help="memory for decoded images in each process that makes batches (0)",
    )


def chosen_data(arguments: argparse.Namespace, preset: "Preset") -> "DataSource":
    """The source that the options name, for a preset.

    Raises:
        InvalidInput: there is none, or options do not go together.
    """
    from prehend_training.data.stores.datasets import window_counts
    from prehend_training.data.stores.open import Mixture

    if arguments.photos is not None and arguments.online is None:
        raise InvalidInput("--photos goes with --online; shards have their backgrounds already")
    for name in ("mano", "twins"):
        if getattr(arguments, name) is not None and not arguments.dataset:
            raise InvalidInput(f"--{name} goes with --dataset")
    parts = _parts(arguments, preset)
    if not parts:
        raise InvalidInput("give --data, --dataset or --online: what shall it learn from?")
    window_counts([weight for _, weight in parts])  # asks whether they are usable
    if len(parts) == 1 and not arguments.cache:
        return parts[0][0]
    return Mixture(tuple(parts), arguments.cache)


def _parts(arguments: argparse.Namespace, preset: "Preset") -> "list[tuple[SingleSource, float]]":
    parts: list[tuple[SingleSource, float]] = []
    named = [weighted(text) for text in arguments.data]
    shards = [(path, weight) for path, weight in named if not path.startswith(PHOTOS)]
    if pooled := [Path(path) for path, weight in shards if weight is None]:
        parts.append((pooled, 1.0))
    parts += [([Path(path)], weight) for path, weight in shards if weight is not None]
    parts += [(photos(path), 1.0 if weight is None else weight) for path, weight in named if path.startswith(PHOTOS)]
    for text in arguments.dataset:
        name, weight = weighted(text)
        parts.append((_dataset(name, arguments), 1.0 if weight is None else weight))
    if arguments.online is not None:
        parts.append((_scenes(arguments.photos, preset), arguments.online))
    return parts


def _scenes(photos: Path | None, preset: "Preset") -> "SingleSource":
    from prehend_training.engine.scenes import SIZES_PX, SceneConfig

    return SceneConfig(preset.pictures, preset.seed, SIZES_PX[preset.pictures], photos=photos)


def _dataset(text: str, arguments: argparse.Namespace) -> "DatasetChoice":
    from prehend_training.data.stores.open import DatasetChoice

    name, root, split = [*text.split(":", 2), "", ""][:3]
    return DatasetChoice(name, Path(root) if root else None, split or None, arguments.mano, arguments.twins)


def photos(text: str) -> "PhotoChoice":
    """The photographs that photos:LABELS[:SPLIT] names.

    Raises:
        InvalidInput: it names no file.
    """
    from prehend_training.data.stores.photographs import PhotoChoice

    path, sign, split = text.removeprefix(PHOTOS).rpartition(":")
    if not sign or split not in SPLITS:
        path, split = text.removeprefix(PHOTOS), SPLITS[0]
    if not path:
        raise InvalidInput(f"'{text}' names no labels: {PHOTOS}LABELS.json, or {PHOTOS}LABELS.json:{SPLITS[1]}")
    return PhotoChoice(Path(path), split)


def weighted(text: str) -> tuple[str, float | None]:
    """What and weight of WHAT=WEIGHT; a text without a number after its last "=" has no weight."""
    what, sign, number = text.rpartition("=")
    try:
        return (what, float(number)) if sign else (text, None)
    except ValueError:
        return text, None
