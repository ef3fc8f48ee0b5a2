"""Options of the verbs that label photographs: what is known of them, and whose pose their hands get."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prehend.types import Box


def add_known(parser: argparse.ArgumentParser, sources: str | None) -> None:
    """--sources, of that default, and --boxes; see `photos.facts.read_facts` and `known_boxes`."""
    parser.add_argument(
        "--sources", default=sources, metavar="FILE", help="YAML of what is known of folders (source, licence, side, "
        f"held, no hands); 'public': the public repositories whose names this package knows ({sources or 'nothing'})",
    )  # fmt: skip
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="known boxes of hands (FOLDER/boxes.json, if there)")


def known_boxes(arguments: argparse.Namespace) -> "dict[str, tuple[Box, ...]]":
    """The boxes of --boxes, or of the file that lies in the folder; errors as of `photos.labelling.read_boxes`."""
    from prehend_training.photos.labelling import BOXES, read_boxes

    given = arguments.boxes or arguments.folder / BOXES
    return read_boxes(given) if arguments.boxes or given.exists() else {}


def add_pose_source(parser: argparse.ArgumentParser, counted: str) -> None:
    """--model, whose pose labelled hands get, and --limit, how many are taken; `counted` says of what."""
    parser.add_argument("--model", default="unihope-s", metavar="WEIGHTS", help="whose pose is taken (unihope-s)")
    parser.add_argument("--limit", type=int, metavar="N", help=f"{counted} to take, spread over all (all)")
