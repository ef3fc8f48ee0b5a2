"""What the single frames of an H2ONet say of every hand of some films: made once, kept beside them (see `answers`)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from prehend.models.meshes.h2onet import KEPT, H2ONet
from prehend.pipeline.crops.crop import Crop
from prehend_training.data.batch import ArrayDict
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.data.views import ViewConfig
from prehend_training.fusion.answers import Asked, HandAnswers, films_key, kept_answers

_HALVED = ("features", "orientation")
"""What is kept in half precision: 106 of 107 kB of a look at a hand, of `h2onet-s`."""


def mesh_answers_of(network: H2ONet, folder: Path, view: ViewConfig, seed: int = 0) -> HandAnswers:
    """What a network says of the hands of rendered sequences in single frames; kept in the folder, for the next time.

    Args:
        network: with the weights that answer, not in training; what several frames add to it is not asked.
        folder: of sequences.
        view: how crops lie.
        seed: of what of that is left to chance.

    Returns:
        Answers with the arrays `KEPT`.

    Raises:
        AssetError: the folder cannot be read, holds no sequences or shows no hand.
    """
    films = ShardGroups(Path(folder), "sequences")
    name = f"mesh-answers-{mesh_answers_key(network, films, view)}"
    return kept_answers(films, name, view, seed, lambda: Asked(network.config.size, partial(_said, network)))


def mesh_answers_key(network: H2ONet, films: ShardGroups, view: ViewConfig) -> str:
    """What answers depend on, in 12 hexadecimal digits: the numbers of a single frame, how crops lie, the films."""
    config, fusion = network.config, {id(parameter) for parameter in network.fusion_parts()}
    facts = {
        "network": [config.size, config.trunk, config.slope],
        "view": asdict(view),
        "films": films_key(films),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, value in sorted(network.state_dict(keep_vars=True).items()):
        if id(value) not in fusion:
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:12]


@torch.no_grad()
def _said(network: H2ONet, crops: Sequence[Crop]) -> ArrayDict:
    images = torch.from_numpy(np.stack([crop.image for crop in crops])).to(network.lift.device)
    said = network.encode(images)
    told = {name: getattr(said, name).float().cpu().numpy() for name in KEPT}
    return told | {name: told[name].astype(np.float16) for name in _HALVED}
