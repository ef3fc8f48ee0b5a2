"""The verbs of `prehend-train` that look at what there is: sheets of the engine's libraries, and real datasets."""

import argparse
import sys
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.options import add_verb


def add_look_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    sheets = add_verb(
        verbs, "sheets", _sheets, "images of what the scene engine knows: gestures, people, objects, grasps, samples"
    )
    sheets.add_argument("--out", type=Path, required=True, help="folder of the images (NAME.jpg)")
    sheets.add_argument("--only", action="append", metavar="NAME", help="one of them, may be repeated (all)")
    sheets.add_argument("--photos", type=Path, help="folder with photographs for backgrounds")
    dataset = add_verb(
        verbs, "dataset", _dataset, "look at a real dataset that you have: count, check, draw its labels"
    )
    dataset.add_argument("name", help="dexycb, ho3d_v2, ho3d_v3, freihand or hanco")
    dataset.add_argument("--root", type=Path, help="its folder (PREHEND_DEXYCB, PREHEND_HO3D_V2, ... otherwise)")
    dataset.add_argument("--split", help="name of a split (the first training split)")
    dataset.add_argument(
        "--mano", type=Path, help="folder of your MANO_RIGHT.pkl and MANO_LEFT.pkl, for meshes and poses"
    )
    dataset.add_argument(
        "--check", action="store_true", help="look for faults of the copy; exit code 1 where there are"
    )
    dataset.add_argument("--out", type=Path, help="contact sheet to write (.png or .jpg)")
    dataset.add_argument("--count", type=int, default=24, help="images on it, or instants to check (24)")


def _sheets(arguments: argparse.Namespace) -> None:
    from prehend_training.inspect.libraries import write_sheets

    for path in write_sheets(arguments.out, arguments.only, arguments.photos):
        sys.stdout.write(f"{path}\n")


def _dataset(arguments: argparse.Namespace) -> None:
    import numpy as np

    from prehend_training.datasets import find_faults, open_dataset
    from prehend_training.inspect.batches import write_picture
    from prehend_training.inspect.samples import contact_sheet

    if arguments.count <= 0:
        raise InvalidInput(f"--count {arguments.count} must be positive")
    data = open_dataset(arguments.name, arguments.root, arguments.split, arguments.mano)
    sys.stdout.write(f"{arguments.name}: {len(data)} images of {len(data.groups())} instants\n")
    if arguments.out is not None:
        chosen = np.linspace(0, len(data) - 1, min(arguments.count, len(data))).round().astype(int)
        labels = ("skeleton", "mesh", "objects", "words")
        sheet = contact_sheet([data[int(index)] for index in chosen], min(6, len(chosen)), 1, labels)
        write_picture(arguments.out, sheet)
    if arguments.check:
        faults = find_faults(data, arguments.count)
        sys.stdout.write("".join(f"{fault}\n" for fault in faults) or "no faults found\n")
        if faults:
            sys.exit(1)
