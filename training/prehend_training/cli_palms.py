"""The verbs of `prehend-train` that fine-tune the palm detector."""

import argparse
import sys
from pathlib import Path
from typing import Any

from prehend.errors import InvalidInput
from prehend_training.cli_scenes import add_verb


def add_palm_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    palms: argparse.ArgumentParser = verbs.add_parser("palms", help="fine-tune the palm detector on photographs")
    steps = palms.add_subparsers(dest="step", required=True)
    label = add_verb(
        steps,
        "label",
        _label,
        "label the palms of photographs with a detector: hands that come back from the mirror image are kept, what "
        "does not is left out of training",
    )
    label.add_argument("folder", type=Path, help="photographs, in folders of their own")
    label.add_argument("--out", type=Path, required=True, metavar="LABELS", help="file to write (.json)")
    label.add_argument("--detector", default="palm", metavar="WHAT", help="name or folder of weights (palm)")
    label.add_argument(
        "--landmarks", type=Path, metavar="FILE",
        help="hand_landmark_full as `prehend-train trunk` writes it: gives region and side, and drops what is no hand",
    )  # fmt: skip
    label.add_argument(
        "--sources", default="public", metavar="FILE", help="YAML of what is known of folders (public: that of this "
        "package)",
    )  # fmt: skip
    label.add_argument("--boxes", type=Path, metavar="FILE", help="known boxes of hands (FOLDER/boxes.json, if there)")
    label.add_argument(
        "--every", action="append", default=[], metavar="FOLDER=N", help="only each N-th picture of a folder"
    )
    label.add_argument("--sure", type=float, default=0.6, help="lowest score of a hand that is kept (0.6)")


def _label(arguments: argparse.Namespace) -> None:
    from prehend.models.hand_landmarks import HandLandmarks
    from prehend_training.palms.labels import write_palm_labels
    from prehend_training.palms.pseudo import Labeller, Rule, label_photographs
    from prehend_training.photos.facts import read_facts
    from prehend_training.photos.labelling import BOXES, read_boxes
    from prehend_training.pretrained.files import load_pretrained

    landmarks = None
    if arguments.landmarks is not None:
        landmarks = HandLandmarks().eval()
        load_pretrained(arguments.landmarks, landmarks)
    given = arguments.boxes or arguments.folder / BOXES
    boxes = read_boxes(given) if arguments.boxes or given.exists() else {}
    labeller = Labeller(arguments.detector, landmarks, Rule(sure=arguments.sure))
    every = dict(_every(text) for text in arguments.every)
    labels = label_photographs(arguments.folder, labeller, read_facts(arguments.sources), boxes, every)
    write_palm_labels(arguments.out, labels)
    for prefix, said in labels.about["counts"].items():
        sys.stdout.write(f"{prefix}: {', '.join(f'{count} {name}' for name, count in said.items())}\n")


def _every(text: str) -> tuple[str, int]:
    prefix, _, number = text.partition("=")
    if not number.isdigit() or int(number) < 1:
        raise InvalidInput(f"--every {text}: expected FOLDER=N with N at least 1")
    return prefix, int(number)
