"""The verb `presets` of `prehend-train`: what can be trained, as a table for people."""

import argparse
import json
import sys
from typing import Any

COLUMNS = ("preset", "network", "trains", "batch", "needs")

_PARTS = {
    "all": "the whole network",
    "maps": "trunk and maps, with a first guess of the joints",
    "lift": "the pose head alone",
    "object": "the object stream alone",
    "grasp": "the answer whether something is held alone",
}


def add_presets_verb(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    from prehend_training.cli.options import add_verb

    presets = add_verb(verbs, "presets", _presets, "list what can be trained, and what each needs")
    presets.add_argument("--json", action="store_true", help="every number of every preset, as JSON")


def _presets(arguments: argparse.Namespace) -> None:
    from prehend_training.train.preset import describe
    from prehend_training.train.presets import PRESETS

    if arguments.json:
        sys.stdout.write(json.dumps({name: describe(one) for name, one in PRESETS.items()}, indent=2) + "\n")
        return
    rows = [COLUMNS, *(row_of(one) for one in PRESETS.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")


def row_of(preset: Any) -> tuple[str, ...]:
    """One line of the table, in the order of `COLUMNS`.

    Args:
        preset: of `prehend_training.train.presets.PRESETS`.
    """
    part, needs = _part_and_needs(preset)
    return (preset.name, preset.network, part, str(preset.optimisation.batch_size), needs)


def _part_and_needs(preset: Any) -> tuple[str, str]:
    from prehend_training.train.detector_task import DetectorPreset
    from prehend_training.train.tasks import CropPreset, LitePreset

    if isinstance(preset, CropPreset):
        if preset.trains == "lift":
            return _PARTS["lift"], "poses of crops, no images"
        size = f"crops of {preset.data.size_px} px"
        if isinstance(preset, LitePreset):
            start = "a run of the network" if preset.trains in ("object", "grasp") else "a pretrained trunk"
            return _PARTS[preset.trains], f"{size}, photographs if there are; --start {start}"
        return _PARTS[preset.trains], size + (" with twins" if preset.twins else "")
    if isinstance(preset, DetectorPreset):
        return "the detector", f"frames of {preset.data.size_px} px, crops as close-ups"
    return "the palm detector", "frames, labelled photographs; --start the pretrained detector; verb palms train"
