"""What a network says of every hand of some films, frame by frame: made once, kept beside the films.

The network itself is not trained here, so that thousands of windows a second can be drawn from its answers.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from tqdm import tqdm

from prehend.backends import Backend
from prehend.errors import AssetError
from prehend.files import replace_file
from prehend.pipeline.crops.crop import Crop
from prehend.pipeline.networks.network import HandNetwork
from prehend.weights import Bundle
from prehend_training.data.base import drawn_indices
from prehend_training.data.batch import ArrayDict
from prehend_training.data.crop_targets import part_targets
from prehend_training.data.hand_crops import draw_view, hand_crop
from prehend_training.data.records import of_hand, record_of
from prehend_training.data.stores.datasets import around_hand, is_usable
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.data.views import EXACT_VIEW, ViewConfig, mirror_left

BATCH = 16
STAGES = ("encode", "object", "hand")
"""Stages that answer: those of a single frame."""

TOLD = ("rotations", "betas", "visibility_logit", "keypoint_log_std", "code")
"""Outputs of stage `hand` that a window consists of."""

TRUE = ("rotations", "joints", "betas", "visible", "part_shown", "has_parts", "has_pose")
"""Labels that are kept beside them, as `true_...`."""

FOLLOWED_VIEW = ViewConfig(center=0.05, scale=(0.9, 1.15), aspect=0.05, turn_p=0.0, turn_rad=0.1, upright=True)
"""Crops of hands that are followed: their joints of the frame before say where they are."""

EXACT = replace(EXACT_VIEW, upright=True)
_HANDS = 2


@dataclass(frozen=True)
class HandAnswers:
    """N looks at hands; a row each.

    Attributes:
        arrays: what the network says (of `unihope-s` `TOLD`), `true_...` (see `TRUE`), R_camera_crop (N, 3, 3); film,
            side (N,) int64; time_s (N,); the hands are right ones, in the crop's frame.
    """

    arrays: ArrayDict

    def __len__(self) -> int:
        return len(self.arrays["film"])

    def indices(self, seed: int, step: int, batch_size: int) -> list[int]:
        """See `prehend_training.data.base.Drawn`."""
        return drawn_indices(seed, step, batch_size, len(self))

    def hands(self) -> list[NDArray[np.int64]]:
        """Rows of each hand of each film, in time's order."""
        keys = 2 * self.arrays["film"] + self.arrays["side"]
        rows = np.lexsort((self.arrays["time_s"], keys))
        return np.split(rows, np.flatnonzero(np.diff(keys[rows])) + 1)


class _Look(NamedTuple):
    crop: Crop
    kept: dict[str, Any]


def answers_of(backend: Backend, folder: Path, view: ViewConfig, seed: int = 0) -> HandAnswers:
    """What a network says of the hands of rendered sequences; kept in the folder, for the next time (`answers_key`).

    Args:
        backend: of a network with `STAGES`.
        folder: of sequences.
        view: how crops lie.
        seed: of what of that is left to chance.

    Raises:
        AssetError: the folder cannot be read, holds no sequences or shows no hand.
    """
    films = ShardGroups(Path(folder), "sequences")

    def asked() -> Asked:
        network = HandNetwork(backend, temporal_frames=1)
        return Asked(network.crop_size, partial(_said, network))

    return kept_answers(films, f"answers-{answers_key(backend.bundle, films, view)}", view, seed, asked)


class Asked(NamedTuple):
    """A network that can be asked: side of its input [px], and what it says of N crops, arrays with N rows."""

    size_px: int
    answer: Callable[[Sequence[Crop]], ArrayDict]


def kept_answers(films: ShardGroups, name: str, view: ViewConfig, seed: int, asked: Callable[[], Asked]) -> HandAnswers:
    """What a network says of the hands of films, from the file beside them; made and kept where there is none.

    Args:
        films: rendered sequences.
        name: of the file, but for the view's seed; it names all that the answers depend on.
        view: how crops lie.
        seed: of what of that is left to chance.
        asked: opens the network, where it has to answer.

    Raises:
        AssetError: the films show no hand.
    """
    folder = films.folder.path
    kept = folder / f"{name}-{'exact' if view == EXACT else f'seed{seed}'}.safetensors"
    if kept.exists():
        return HandAnswers(load_file(kept))
    network = asked()
    looks, parts = _looks(films, view, seed, network.size_px), list[ArrayDict]()
    while part := list(islice(looks, BATCH)):
        labels = {name: np.stack([look.kept[name] for look in part]) for name in part[0].kept}
        parts.append({**network.answer([look.crop for look in part]), **labels})
    if not parts:
        raise AssetError(f"{folder}: its films show no hand to look at: render others with `scenes --kind sequences`")
    joined = {name: np.ascontiguousarray(np.concatenate([one[name] for one in parts])) for name in parts[0]}
    replace_file(kept, save(joined))
    return HandAnswers(joined)


def answers_key(bundle: Bundle, films: ShardGroups, view: ViewConfig) -> str:
    """What answers depend on, in 12 hexadecimal digits, so that a further stage or another calibration of what is not
    asked for here leaves them good.

    These are graphs and numbers of `STAGES`, what images are like that go in, the calibration of the grasp answer
    (which says whether stage `object` is asked), how crops lie, and the films themselves.
    """
    digest, arrays = hashlib.sha256(), bundle.load_arrays()
    grasp = bundle.manifest.get("calibration", {}).get("grasp", {})
    facts = {
        "input": bundle.manifest["input"],
        "grasp": [grasp.get(name) for name in ("scale", "offset")],
        "graphs": [bundle.manifest["stages"][stage]["sha256"] for stage in STAGES],
        "view": asdict(view),
        "films": films_key(films),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for name in sorted({name for stage in STAGES for name in bundle.stages[stage].initializers}):
        digest.update(name.encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()[:12]


def films_key(films: ShardGroups) -> list[str]:
    """What of the films answers depend on: the sums of their shards."""
    return [note["sha256"] for _, note in sorted(films.folder.description["shards"].items())]


def together(several: Sequence[HandAnswers]) -> HandAnswers:
    """Answers of several folders; films keep apart."""
    if len(several) == 1:  # answers may be large
        return several[0]
    shifted, first = [], 0
    for one in several:
        shifted.append({**one.arrays, "film": one.arrays["film"] + first})
        first = int(shifted[-1]["film"].max()) + 1
    return HandAnswers({name: np.concatenate([one[name] for one in shifted]) for name in shifted[0]})


def _said(network: HandNetwork, crops: Sequence[Crop]) -> ArrayDict:
    encoded = network.encode(crops)
    holds = [bool(value >= 0.5) for value in encoded.grasp]
    told, _ = network.hand_outputs(crops, encoded, range(len(crops)), holds)
    return {name: told[name] for name in TOLD}


def _looks(films: ShardGroups, view: ViewConfig, seed: int, size_px: int) -> Iterator[_Look]:
    for number, film in enumerate(tqdm(films.films(), unit="film")):
        for row, time_s in zip(film.rows, film.times_s, strict=True):
            sample = films.sample(row)
            for hand, label in enumerate(sample.hands[:_HANDS]):
                if not is_usable(sample, label):
                    continue
                record = mirror_left(around_hand(of_hand(record_of(sample, _HANDS), hand), size_px))
                lies = draw_view(record, view, size_px, np.random.default_rng([seed, number, row, hand]))
                truth = hand_crop(record, lies, smear=False, changes=None)
                planes = np.ascontiguousarray(truth["image"].transpose(2, 0, 1), np.float32) / np.float32(255)
                truth |= part_targets(record, truth["visible"])
                kept = {f"true_{name}": np.asarray(truth[name], np.float32) for name in TRUE}
                kept |= {
                    "R_camera_crop": lies.R_crop_camera.T.astype(np.float32),
                    "film": np.int64(number),
                    "side": np.int64(label.side == "right"),
                    "time_s": np.float64(time_s),
                }
                yield _Look(Crop(lies.spec, planes), kept)
