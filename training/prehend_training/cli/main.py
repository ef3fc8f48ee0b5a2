"""The command `prehend-train`: images, training, measuring, export; its verbs are in the modules beside this one."""

import argparse
import logging
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from prehend.cli.arguments.ending import ended
from prehend.cli.arguments.streams import mend_streams
from prehend_training.cli.images.boost import add_boost_verbs
from prehend_training.cli.images.deocclude import add_deocclude_verb
from prehend_training.cli.images.hard_negatives import add_hard_negatives_verb
from prehend_training.cli.images.inspect import add_look_verbs
from prehend_training.cli.images.photos import add_photo_verbs
from prehend_training.cli.images.scenes import add_scene_verbs
from prehend_training.cli.networks.evaluate import add_evaluate_verb
from prehend_training.cli.networks.hhmr import add_hhmr_verb
from prehend_training.cli.networks.palms import add_palm_verbs
from prehend_training.cli.networks.presets import add_presets_verb
from prehend_training.cli.networks.tables import add_table_verbs
from prehend_training.cli.networks.train import add_train_verb
from prehend_training.cli.networks.trunk import add_trunk_verb
from prehend_training.cli.parsing.options import RENAMED_VERBS, CommandParser, add_verb, warn_renamed

_INTERRUPTED = "stopped; the same command goes on from what is complete"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; 0 when done, 1 when it failed (one line says why), 2 from the parser for wrong use, 130 when it was
    stopped by Ctrl-C."""
    mend_streams()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in RENAMED_VERBS:
        warn_renamed(given[0], RENAMED_VERBS[given[0]])
        given[0] = RENAMED_VERBS[given[0]]
    verb = given[0] if given and not given[0].startswith("-") else ""

    def work() -> int:
        arguments = _parsed(given)
        arguments.run(arguments)
        return 0

    return ended(f"prehend-train {verb}".rstrip(), work, _INTERRUPTED, wrong_uses=())


def _parsed(given: Sequence[str]) -> argparse.Namespace:
    """The arguments; the parser ends with SystemExit for help and wrong use."""
    parser = _parser()
    if given and not given[0].startswith("-") and given[0] not in parser.verbs:
        near = get_close_matches(given[0], parser.verbs, 1)
        parser.error(f"unknown verb '{given[0]}'" + "".join(f": did you mean {verb}?" for verb in near))
    arguments, unknown = parser.parse_known_args(given)
    if unknown:
        parser.verbs[arguments.verb].error(f"unrecognized arguments: {' '.join(unknown)}")
    return arguments


def _blend(arguments: argparse.Namespace) -> None:
    from prehend_training.train.blend import blend_run

    blend_run(arguments.run_folder, arguments.start, arguments.share, arguments.out)
    sys.stdout.write(f"{arguments.out}: evaluate it, then calibrate and export\n")


def _export(arguments: argparse.Namespace) -> None:
    from prehend_training.train.export import export_run

    bundle = export_run(arguments.run_folder, arguments.out)
    sys.stdout.write(f"{bundle.folder}: {bundle.network}, weights {bundle.weights_sha256[:12]}\n")


def _parser() -> CommandParser:
    parser = CommandParser(prog="prehend-train", description="Render scenes, train and export networks.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_scene_verbs(verbs)
    add_look_verbs(verbs)
    add_deocclude_verb(verbs)
    add_boost_verbs(verbs)
    add_hard_negatives_verb(verbs)
    add_photo_verbs(verbs)
    add_trunk_verb(verbs)
    add_palm_verbs(verbs)
    add_presets_verb(verbs)
    add_train_verb(verbs)
    add_table_verbs(verbs)
    add_hhmr_verb(verbs)
    add_evaluate_verb(verbs)

    blend = add_verb(
        verbs,
        "blend",
        _blend,
        "write a run with the mean of a run's weights and those from which it went on: it keeps more of what they "
        "could do",
    )
    blend.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run, of a network for crops")
    start = "name or folder of weights, or a run"
    blend.add_argument("--start", type=Path, required=True, metavar="WEIGHTS", help=start)
    blend.add_argument("--share", type=float, default=0.5, help="of the run's weights (0.5)")
    blend.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder to make")
    export = add_verb(verbs, "export", _export, "write the weights of a run as a bundle that prehend loads")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    export.add_argument("--out", type=Path, required=True, help="folder of the bundle, e.g. src/prehend/weights/NAME")
    parser.verbs = verbs.choices
    return parser
