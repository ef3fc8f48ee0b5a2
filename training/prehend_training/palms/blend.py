"""Between what was published and what was learnt: means of weights keep more of what a detector could do before
(WiSE-FT, Wortsman et al., CVPR 2022)."""

import json
from pathlib import Path

from safetensors.torch import load_file

from prehend.documents import read_json
from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_file, replace_text
from prehend_training.pretrained.files import provenance
from prehend_training.storage.tensors import write_tensors

SHARE = "share_learnt"
"""Where a run says how much of its weights is its own."""


def blend_run(run: Path, start: Path, share: float, out: Path) -> None:
    """Write a run whose averaged weights are a mean of a run's and of the published ones that it started from.

    Args:
        run: of the palm detector.
        start: file of `trunk --kind palm`; answers that it does not have are the run's.
        share: of the run's weights.
        out: folder to make; it can be measured and exported as a run.

    Raises:
        InvalidInput: the share is not between 0 and 1, or the folder is there.
        AssetError: the run has no weights, or started from another file.
    """
    if not 0 < share <= 1:
        raise InvalidInput(f"a share of {share:g} is not between 0 and 1")
    if out.exists():
        raise InvalidInput(f"{out} is there already: choose another folder")
    weights = run / "checkpoint" / "averaged.safetensors"
    if not weights.exists():
        raise AssetError(f"{run} has no checkpoint: train it first")
    begun = read_json(run / "run.json", AssetError)
    origin = begun.get("origin") if isinstance(begun, dict) else None
    if not origin or provenance(start) != {key: value for key, value in origin.items() if key != SHARE}:
        raise AssetError(f"{run} did not start from {start}: give the file that it started from")
    learnt, published = load_file(weights), load_file(start)
    mixed = {
        name: value if ".further." in name else value.lerp(published[name.removeprefix("network.")], 1 - share)
        for name, value in learnt.items()
    }
    (out / "checkpoint").mkdir(parents=True)
    write_tensors(out / "checkpoint" / "averaged.safetensors", mixed)
    progress = "checkpoint/progress.json"
    replace_file(out / progress, (run / progress).read_bytes())
    note = begun | {"origin": {**origin, SHARE: share}}  # a run that went on from a blend may be blended again
    replace_text(out / "run.json", json.dumps(note, indent=1))
