"""The verb of `prehend-train` that collects a detector's mistakes for the crop network to learn from."""

import argparse
import sys
from pathlib import Path
from typing import Any

from prehend_training.cli.parsing.options import add_verb, keep_old_option


def add_hard_negatives_verb(verbs: Any) -> None:
    """Add the verb of this module."""
    verb = add_verb(
        verbs,
        "hard-negatives",
        _places,
        "cut out of rendered images what a detector takes for hands and is none; a folder for --data of crop "
        "networks, which learn from it to say so (hard negatives). Goes on where it stopped",
    )
    verb.add_argument("out", type=Path, metavar="DIR", help="folder of shards to write")
    verb.add_argument(
        "--data", type=Path, action="append", required=True, metavar="DIR", help="frames, views or sequences; may be "
        "repeated",
    )  # fmt: skip
    verb.add_argument("--detector", default="palm", metavar="WHAT", help="run or weights of a detector (palm)")
    keep_old_option(verb, "--finder", "--detector")
    verb.add_argument("--threshold", type=float, default=0.1, help="lowest score of a mistake that is kept (0.1)")
    verb.add_argument("--most", type=int, default=3, metavar="N", help="largest number of an image (3)")


def _places(arguments: argparse.Namespace) -> None:
    from prehend_training.evaluate.hard_negatives import HardNegativesConfig, write_hard_negatives
    from prehend_training.evaluate.network import open_measured

    config = HardNegativesConfig(threshold=arguments.threshold, most=arguments.most)
    sys.stdout.write(
        f"{write_hard_negatives(arguments.out, open_measured(arguments.detector), arguments.data, config)}\n"
    )
