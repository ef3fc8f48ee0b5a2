"""RUN/run.json, read."""

from pathlib import Path
from typing import Any

from prehend.documents import read_json
from prehend.errors import AssetError
from prehend_training.pretrained.files import provenance
from prehend_training.pretrained.shipped import bundle_at
from prehend_training.train.loop.preset import RENAMED

BLENDED = "blended"
"""Where a run says that its weights are a mean of its own and others (`train.blend`)."""
SEEN = ("preset", "trained_on", "seed", "commit", "started_from", BLENDED, "samples_seen", "training_s")
"""What a manifest says of what its weights have learnt from."""


def read_note(run: Path) -> dict[str, Any]:
    """What a run's folder says that it is.

    Raises:
        AssetError: its note is missing, cut off or no object.
    """
    content = read_json(
        run / "run.json", lambda text: AssetError(f"{text}: take it from a copy, or choose another folder")
    )
    if not isinstance(content, dict):
        raise AssetError(f"{run / 'run.json'} holds no object: take it from a copy, or choose another folder")
    if (
        now := RENAMED.get(content.get("preset", ""))
    ) is not None:  # a run of before, whose preset is called otherwise now
        content = content | {"preset": now, "numbers": content["numbers"] | {"name": now}}
    return content


def begun(run: Path) -> dict[str, Any]:
    """What another run is, and how far it came; of pretrained weights, and of those that ship, where they come from."""
    if run.is_file():
        return {"pretrained": provenance(run)}
    if (weights := bundle_at(run)) is not None:
        seen = {key: weights.manifest[key] for key in SEEN if key in weights.manifest}
        return {"weights": weights.name, "sha256": weights.weights_sha256, **seen}
    progress = read_json(run / "checkpoint" / "progress.json", AssetError)
    return read_note(run) | {"samples": progress["samples"]}
