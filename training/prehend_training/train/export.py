"""From a run to a bundle that `prehend` loads."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from prehend.backends.torch_ import load_network
from prehend.errors import AssetError
from prehend.export.bundle import save_bundle
from prehend.files import replace_file
from prehend.hand_model.asset import load_hand_model
from prehend.weights import Bundle, load_bundle
from prehend_training.storage.tensors import write_tensors
from prehend_training.train.loop.checkpoint import load_result
from prehend_training.train.loop.notes import BLENDED, SEEN, read_note
from prehend_training.train.loop.preset import Preset
from prehend_training.train.presets import preset_of_run

CALIBRATION = "calibration.json"
"""What `prehend-train calibrate` leaves in the folder of a run."""
LICENCE = "Apache-2.0"

THROUGH_TIME = "through_time"
"""Where the manifest says the same of what several frames add to weights that look at single ones."""


def export_run(run: Path, out: Path) -> Bundle:
    """Write the averaged weights of a run as a bundle, with what `prehend-train evaluate` measured of them.

    Args:
        run: folder of the run.
        out: folder of the bundle; its name is the name of the weights.

    Raises:
        AssetError: it is no run, has no checkpoint, was not evaluated since it was saved, or learnt on the answers of
            weights that are others by now.
    """
    chosen, begun = preset_of_run(run), read_note(run)
    network = chosen.build()
    weights = run / "checkpoint" / "averaged.safetensors"
    load_result(weights, network)
    measured = run / "measured.json"
    if not measured.exists() or measured.stat().st_mtime < weights.stat().st_mtime:
        raise AssetError(f"{run} was not measured since its last step: run `prehend-train evaluate` first")
    progress = json.loads((run / "checkpoint" / "progress.json").read_text())
    seen: dict[str, Any] = {
        **_origin(begun),
        "samples_seen": progress["samples"],
        "training_s": round(progress["elapsed_s"]),
        "measured": json.loads(measured.read_text()),
    }
    if chosen.answering is not None:  # what single frames say is these weights'
        seen = _of_single_frames(network, chosen.answering) | {THROUGH_TIME: seen}
    extras: dict[str, Any] = {**_told(chosen, begun), **seen, "licence": LICENCE}
    if (run / CALIBRATION).exists():
        extras["calibration"] = json.loads((run / CALIBRATION).read_text())
    if chosen.own_scores:  # scores are compared with what was chosen where they were measured
        extras["thresholds"] = extras["measured"].pop("thresholds")
    return save_bundle(network, out, chosen.network, extras)  # type: ignore[arg-type]


def _told(chosen: Preset, begun: dict[str, Any]) -> dict[str, Any]:
    """What the weights know beside their numbers: the hand model, or the published file that a detector is from."""
    if chosen.own_scores:
        return {"origin": begun["origin"], "photographs": begun["photographs"]}
    hand = load_hand_model()
    return {"hand_model": {"name": hand.name, "sha256": hand.sha256}}


def _of_single_frames(network: nn.Module, weights: str) -> dict[str, Any]:
    """What a manifest says of the weights that answer for single frames, which are the network's but for what several
    frames add: it is what it says of them alone."""
    single, numbers = load_bundle(weights), network.state_dict()
    own = {name: value for name, value in load_network(single).state_dict().items() if not name.startswith("time.")}
    if any(not torch.equal(numbers[name], value) for name, value in own.items()):
        raise AssetError(f"the run learnt on other weights than '{weights}' has now: train it again, with --start")
    return {key: single.manifest[key] for key in (*SEEN, "measured", "calibration") if key in single.manifest}


def _origin(begun: dict[str, Any]) -> dict[str, Any]:
    """What a run says of itself, and of the runs that it started from."""
    if "pretrained" in begun or "weights" in begun:
        return begun
    starts = [
        _origin(other) | ({"samples_seen": other["samples"]} if "samples" in other else {}) for other in begun["start"]
    ]
    return {
        "preset": begun["preset"],
        "trained_on": [_named(entry) for entry in begun["data"]],
        "seed": begun["seed"],
        "commit": begun["commit"],
        "started_from": starts,
        **({BLENDED: begun[BLENDED]} if BLENDED in begun else {}),
    }


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    """What was learnt from, without the folders of the machine that it was on."""
    return {name: Path(value).name if name == "path" else value for name, value in entry.items()}


def export_slim_run(run: Path, out: Path) -> int:
    """Write what is worth taking to another machine: the averaged weights, matrices in half precision, and the notes.

    The folder is a run that `prehend-train evaluate` and `export` read and `train --start` starts from; it cannot be
    gone on with, since the optimiser's state stays behind.

    Returns:
        Bytes written.
    """
    (out / "checkpoint").mkdir(parents=True, exist_ok=True)
    averaged = load_file(run / "checkpoint" / "averaged.safetensors")
    write_tensors(
        out / "checkpoint" / "averaged.safetensors", {name: halved(value) for name, value in averaged.items()}
    )
    names = ["checkpoint/progress.json", "run.json", "log.jsonl", "speed.jsonl", "teacher.json", "measured.json"]
    for name in names:  # what was measured comes last: it has to be younger than the weights
        if (run / name).exists():
            replace_file(out / name, (run / name).read_bytes())
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def halved(value: Tensor) -> Tensor:
    """In half precision where it is a matrix or kernel of numbers that fit; vectors are few and scale everything."""
    if value.dim() < 2 or not value.is_floating_point():
        return value
    half = value.half()
    return half if bool(torch.isfinite(half).all()) else value
