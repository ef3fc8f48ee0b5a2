"""The verb `presets` of `prehend-train`: what can be trained, as a table for people."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prehend_training.train.loop.preset import Preset

COLUMNS = ("preset", "network", "trains", "batch", "needs")


def add_presets_verb(verbs: Any) -> None:
    """Add the verb."""
    from prehend_training.cli.parsing.options import add_verb

    presets = add_verb(verbs, "presets", _presets, "list what can be trained, and what each needs")
    presets.add_argument("--json", action="store_true", help="every number of every preset, as JSON")


def _presets(arguments: argparse.Namespace) -> None:
    from prehend_training.train.loop.preset import describe
    from prehend_training.train.presets import PRESETS

    if arguments.json:
        sys.stdout.write(json.dumps({name: describe(one) for name, one in PRESETS.items()}, indent=2) + "\n")
        return
    rows = [COLUMNS, *(row_of(one) for one in PRESETS.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")


def row_of(preset: "Preset") -> tuple[str, ...]:
    """One line of the table, in the order of `COLUMNS`."""
    return (preset.name, preset.network, preset.summary[0], str(preset.optimisation.batch_size), preset.summary[1])
