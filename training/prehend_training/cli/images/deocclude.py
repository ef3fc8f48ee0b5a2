"""The verb of `prehend-train` that generates de-occluded twins for datasets that have none."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.options import add_device, add_seed, add_verb

if TYPE_CHECKING:
    from prehend_training.deocclude.make import NumberedSamples


def add_deocclude_verb(verbs: Any) -> None:
    """Add the verb of this module."""
    verb = add_verb(
        verbs,
        "deocclude",
        _deocclude,
        "repaint held objects as bare hands with your diffusion model (docs/DEOCCLUDER.md); goes on where it stopped",
    )
    verb.add_argument("out", type=Path, metavar="TWINS", help="folder of the twins")
    source = verb.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", metavar="NAME", help="dexycb, ho3d_v2 or ho3d_v3")
    source.add_argument("--data", type=Path, help="folder of shards")
    verb.add_argument("--root", type=Path, help="folder of the dataset (PREHEND_DEXYCB, ... otherwise)")
    verb.add_argument("--split", help="name of its split (the first training split)")
    verb.add_argument(
        "--mano", type=Path, help="folder of your MANO_RIGHT.pkl and MANO_LEFT.pkl, whose depth is rendered"
    )
    verb.add_argument(
        "--diffusion", required=True, help="Stable Diffusion: a folder in the layout of diffusers, or a hub id"
    )
    verb.add_argument("--control", required=True, help="ControlNet for depth: a folder, or a hub id")
    verb.add_argument("--download", action="store_true", help="fetch hub ids that are not in the local cache")
    verb.add_argument("--variant", help="of the files, such as fp16")
    add_device(verb)
    verb.add_argument("--precision", choices=("float32", "float16", "bfloat16"), default="float32", help="(float32)")
    verb.add_argument("--slice-attention", action="store_true", help="less memory, more time")
    verb.add_argument("--together", type=int, help="candidates painted at once (all)")
    verb.add_argument("--judge", default="unihope-s", help="weights or run whose J-PE chooses the strength (unihope-s)")
    verb.add_argument(
        "--strength", type=float, action="append", help="candidate, may be repeated (0.4 0.55 0.7 0.85 1)"
    )
    verb.add_argument("--steps", type=int, help="of the sampler (30)")
    verb.add_argument("--guidance", type=float, help="weight of the prompt, 1 for none (7.5)")
    verb.add_argument("--prompt", help="what the image should show")
    verb.add_argument("--size", dest="size_px", type=int, help="side of the square that is painted [px] (512)")
    add_seed(verb, "of the noise (0)", None)
    verb.add_argument("--limit", type=int, help="largest number of twins to make now")
    verb.add_argument(
        "--part", default="0/1", metavar="K/N", help="frames K, K+N, ... alone; parts may run at once (0/1)"
    )
    verb.add_argument("--image", choices=("png", "jpg", "webp"), default="png", help="format of the twins (png)")


def _deocclude(arguments: argparse.Namespace) -> None:
    from prehend_training.deocclude.config import RepaintConfig, Weights
    from prehend_training.deocclude.judge import NetworkJudge
    from prehend_training.deocclude.make import Work, make_twins
    from prehend_training.deocclude.repaint import Repainter
    from prehend_training.deocclude.weights import load_parts

    names = ("steps", "guidance", "prompt", "size_px", "seed")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.strength:
        given["strengths"] = tuple(arguments.strength)
    config = RepaintConfig(**given)
    weights = Weights(
        arguments.diffusion,
        arguments.control,
        arguments.download,
        arguments.variant,
        arguments.device,
        arguments.precision,
        arguments.slice_attention,
        arguments.together,
    )
    work = Work(arguments.limit, _part(arguments.part), arguments.image)
    source, place = _source(arguments)
    judge = NetworkJudge.open(arguments.judge, arguments.device)
    repainter = Repainter(load_parts(weights), config, weights.together)
    description = {"source": place, "diffusion": weights.diffusion, "control": weights.control}
    counts = make_twins(source, arguments.out, description, repainter, judge, work)
    sys.stdout.write(json.dumps(counts) + "\n")


def _part(text: str) -> tuple[int, int]:
    numbers = text.split("/")
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise InvalidInput(f"--part {text}: expected K/N, such as 0/8")
    return int(numbers[0]), int(numbers[1])


def _source(arguments: argparse.Namespace) -> "tuple[NumberedSamples, dict[str, Any]]":
    """The samples, and what the folder of twins says about them."""
    from prehend_training.datasets import FIRST_SPLIT, open_dataset
    from prehend_training.storage.shards import ShardFolder

    if arguments.data is not None:
        folder = ShardFolder.open(arguments.data)
        return folder, {"shards": folder.kind, "seed": folder.description.get("seed"), "samples": len(folder)}
    data = open_dataset(arguments.dataset, arguments.root, arguments.split, arguments.mano)
    return data, {"dataset": arguments.dataset, "split": arguments.split or FIRST_SPLIT[arguments.dataset]}
