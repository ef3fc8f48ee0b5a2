"""The verbs of `prehend-train` for photographs: labels by a teacher, and those of other programs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.errors import InvalidInput
from prehend_training.cli.parsing.annotation import add_known, add_pose_source, known_boxes
from prehend_training.cli.parsing.options import add_verb, keep_old_option

if TYPE_CHECKING:
    from prehend_training.photos.teachers import PhotoTeacher

MEDIAPIPE = "mediapipe"


def add_photo_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    label = add_verb(
        verbs,
        "label",
        _label,
        "label photographs by a teacher, who sees each turned, mirrored and nearer; what agrees is kept. Goes on where "
        "it stopped; a file for --data photos:LABELS",
    )
    label.add_argument("folder", type=Path, metavar="FOLDER", help="with photographs, in folders of its own too")
    label.add_argument(
        "--teacher", required=True, metavar="WHO",
        help=f"{MEDIAPIPE} (in the environment of --python), or the name or folder of a hand network's weights",
    )  # fmt: skip
    label.add_argument("--python", type=Path, metavar="PATH", help=f"a Python that has mediapipe, for {MEDIAPIPE}")
    label.add_argument("--detector", default="palm", metavar="WHAT", help="weights of the detector beside ours (palm)")
    keep_old_option(label, "--finder", "--detector")
    label.add_argument("--out", type=Path, required=True, metavar="LABELS", help="file to write (.json)")
    add_known(label, None)
    label.add_argument(
        "--base", type=Path, metavar="LABELS", help="labels to add to: hands whose joints it knows stay as they are"
    )
    label.add_argument("--only", action="append", default=[], metavar="PREFIX", help="folders to label (all)")
    label.add_argument(
        "--apart", type=float, metavar="SHARE",
        help="largest mean distance of a hand's joints between the copies, over the longer side of its box (0.03)",
    )  # fmt: skip

    _add_import(verbs)
    whole = add_verb(
        verbs,
        "whole",
        _whole,
        "give labelled photographs whole hands: a network's pose, the prior for hands, and the labelled joints; a file "
        "for --data photos:OUT that teaches rotations too",
    )
    whole.add_argument("labels", type=Path, metavar="LABELS", help="file of labels")
    whole.add_argument("--out", type=Path, required=True, metavar="FILE", help="file of labels to write (.json)")
    whole.add_argument(
        "--no-prior", dest="prior", action="store_false", help="the network's pose and the joints alone, to compare"
    )
    whole.add_argument("--split", default="train", metavar="NAME", help="split whose hands are made whole (train)")
    add_pose_source(whole, "photographs")


def _add_import(verbs: Any) -> None:
    taken = add_verb(
        verbs,
        "import",
        _import,
        "photographs that were labelled elsewhere: writes OUT/labels.json (for --data photos:OUT/labels.json) and, "
        "of those all of whose hands are labelled, shards of whole images (docs/OWN_PHOTOGRAPHS.md)",
    )
    taken.add_argument(
        "labels", type=Path, metavar="LABELS",
        help="COCO keypoints, COCO-WholeBody or our labels (.json), CVAT for images 1.1 (.xml), or a folder with "
        "FreiHAND's JSON",
    )  # fmt: skip
    taken.add_argument("--photos", type=Path, metavar="FOLDER", help="the photographs (default: beside LABELS)")
    taken.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder to write")
    taken.add_argument(
        "--source", required=True, metavar="TEXT", help="title of the photographs, kept with the weights"
    )
    taken.add_argument("--licence", required=True, metavar="TEXT", help="of the photographs, kept with the weights")
    taken.add_argument("--all-hands", action="store_true", help="every hand of every photograph is labelled")
    taken.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="kept for validation (0.1)")
    taken.add_argument("--no-shards", dest="shards", action="store_false", help="write labels.json alone")


def _whole(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from prehend.pipeline.load import load_estimator
    from prehend_training.photos.labels import read_labels, write_labels
    from prehend_training.photos.whole import WholeRule, chosen_photos, make_whole, open_denoiser

    if arguments.out.resolve() == arguments.labels.resolve():
        raise InvalidInput(f"--out {arguments.out} is the file of labels itself: give another")
    labels = read_labels(arguments.labels)
    paths = tqdm(chosen_photos(labels, arguments.split, arguments.limit), unit="picture", disable=None)
    denoiser = open_denoiser() if arguments.prior else None
    with load_estimator(model=arguments.model, tracking=False) as estimator:
        found, counts = make_whole(labels, paths, estimator, denoiser, WholeRule())
    write_labels(arguments.out, found)
    for why, count in counts.most_common():
        sys.stdout.write(f"{why}: {count}\n")


def _import(arguments: argparse.Namespace) -> None:
    from prehend_training.imports.readers import read_any
    from prehend_training.imports.take import Import, take, write_photo_shards
    from prehend_training.photos.labels import write_labels

    given: Path = arguments.labels
    beside = given if given.is_dir() else given.parent
    how = Import(arguments.photos or beside, arguments.source, arguments.licence, arguments.validation)
    labels, counts = take(read_any(given, arguments.all_hands), how)
    write_labels(arguments.out / "labels.json", labels)
    for what, count in sorted(counts.items()):
        sys.stdout.write(f"{what}: {count}\n")
    if arguments.shards:
        whole = write_photo_shards(labels, arguments.out / "shards")
        for split, count in whole.items():
            of = sum(photo.split == split for photo in labels.photos)
            sys.stdout.write(f"in shards of {split}: {count} of {of} photographs (all hands labelled)\n")
    sys.stdout.write(f"{arguments.out / 'labels.json'}\n")


def _label(arguments: argparse.Namespace) -> None:
    from dataclasses import replace

    from prehend_training.photos.agreement import AgreementRule
    from prehend_training.photos.facts import read_facts
    from prehend_training.photos.labelling import Labelling, label_photos, pictures_of
    from prehend_training.photos.labels import read_labels

    rule = AgreementRule()
    if arguments.apart is not None:
        if not 0 < arguments.apart < 1:
            raise InvalidInput(f"--apart {arguments.apart:g} is not between 0 and 1")
        rule = replace(rule, apart=arguments.apart)
    folder: Path = arguments.folder
    base = {} if arguments.base is None else {photo.path: photo for photo in read_labels(arguments.base).photos}
    work = Labelling(
        folder, arguments.out, read_facts(arguments.sources), known_boxes(arguments), rule, tuple(arguments.only), base
    )
    pictures_of(folder, work.only)
    teacher = _teacher(arguments)
    try:
        labels = label_photos(work, teacher)
    finally:
        teacher.close()
    for prefix, said in labels.about["counts"].items():
        sys.stdout.write(f"{prefix}: {', '.join(f'{count} {name}' for name, count in said.items())}\n")


def _teacher(arguments: argparse.Namespace) -> "PhotoTeacher":
    from prehend_training.photos.teachers import HOW, MediapipeTeacher, OwnTeacher

    if arguments.teacher != MEDIAPIPE:
        return OwnTeacher(arguments.teacher, arguments.detector)
    if arguments.python is None:
        raise InvalidInput(f"--teacher {MEDIAPIPE} runs in an environment of its own: {HOW}")
    return MediapipeTeacher(arguments.python)
