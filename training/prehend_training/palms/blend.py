"""Between what was published and what was learnt, of palm detectors; see `train.blend`."""

from pathlib import Path

from safetensors.torch import load_file

from prehend.documents import read_json
from prehend.errors import AssetError
from prehend_training.pretrained.files import provenance
from prehend_training.storage.blends import SHARE, learnt_weights, write_blend


def blend_palms(run: Path, start: Path, share: float, out: Path) -> None:
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
    learnt = learnt_weights(run, share, out)
    begun = read_json(run / "run.json", AssetError)
    origin = begun.get("origin") if isinstance(begun, dict) else None
    if not origin or provenance(start) != {key: value for key, value in origin.items() if key != SHARE}:
        raise AssetError(f"{run} did not start from {start}: give the file that it started from")
    published = load_file(start)
    mixed = {
        name: value if ".further." in name else value.lerp(published[name.removeprefix("network.")], 1 - share)
        for name, value in learnt.items()
    }
    # a run that went on from a blend may be blended again
    write_blend(run, out, mixed, begun | {"origin": {**origin, SHARE: share}})
