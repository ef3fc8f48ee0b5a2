"""Runs whose weights are a mean: what is read for one, and how it is written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_file, replace_text
from prehend_training.storage.tensors import write_tensors

SHARE = "share_learnt"
"""Where a run says how much of its weights is its own."""
AVERAGED = Path("checkpoint") / "averaged.safetensors"
_PROGRESS = Path("checkpoint") / "progress.json"


def learnt_weights(run: Path, share: float, out: Path) -> dict[str, Tensor]:
    """The averaged weights of a run that are to be blended; arguments and errors as of `train.blend`."""
    if not 0 < share <= 1:
        raise InvalidInput(f"a share of {share:g} is not between 0 and 1")
    if out.exists():
        raise InvalidInput(f"{out} is there already: choose another folder")
    if not (run / AVERAGED).exists():
        raise AssetError(f"{run} has no checkpoint: train it first")
    return load_file(run / AVERAGED)


def write_blend(run: Path, out: Path, mixed: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Make the folder of a run from blended weights and a note; how far training came is as in the run."""
    (out / AVERAGED).parent.mkdir(parents=True)
    write_tensors(out / AVERAGED, dict(mixed))
    replace_file(out / _PROGRESS, (run / _PROGRESS).read_bytes())
    replace_text(out / "run.json", json.dumps(note, indent=1))
