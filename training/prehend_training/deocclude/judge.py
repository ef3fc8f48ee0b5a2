"""How well a reconstruction model sees the true pose in a generated image (UniHOPE, section 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.errors import AssetError
from prehend.hand_model.asset import HandModel, load_hand_model
from prehend.hand_model.skinning import skin
from prehend.models.hand_object.unihope import UniHOPE
from prehend.models.hand_object.unihope_lite import UniHOPELite
from prehend.pipeline.crops.crop import CropSpec, cut, region_of
from prehend.pipeline.networks.decode import rotations_in_camera
from prehend.pipeline.networks.hands import HandModels
from prehend.types import Box, Camera, FloatArray, Region
from prehend_training.sample import HandLabel


class Judge(Protocol):
    """Tells candidates apart."""

    @property
    def name(self) -> str:
        """What the folder of twins calls it."""
        ...

    def errors_m(self, pictures: Sequence[NDArray[np.uint8]], camera: Camera, hand: HandLabel) -> FloatArray:
        """(N,) J-PE [m] of a hand in (H, W, 3) images that a camera took."""
        ...


@dataclass(frozen=True)
class NetworkJudge:
    """A hand network, run on the crop around the true box as the pipeline runs it.

    Its J-PE is the mean distance of the 21 joints from the true ones, both relative to the wrist [m]: the metric of the
    paper, whose networks do not place the wrist either.

    Attributes:
        name: of the weights, or the run's folder.
        network: in evaluation mode.
        models: hand model of each side, which the network's pose and shape are put on.
        device: where the network is.
    """

    name: str
    network: UniHOPE
    models: Mapping[Side, HandModel]
    device: torch.device

    @classmethod
    def open(cls, weights: str | Path, device: str = "cpu") -> "NetworkJudge":
        """Load a network.

        Args:
            weights: name of shipped weights, a folder of exported ones, or a run of `prehend-train train`.
            device: of torch.

        Raises:
            UnknownName: neither.
            AssetError: a file is missing or broken, or the network is not one for hands.
        """
        network, models = _from_run(Path(weights)) if (Path(weights) / "run.json").exists() else _from_bundle(weights)
        return cls(str(weights), network.eval().to(device), models, torch.device(device))

    def errors_m(self, pictures: Sequence[NDArray[np.uint8]], camera: Camera, hand: HandLabel) -> FloatArray:
        """See `Judge`."""
        joints, _ = self.answers(pictures, camera, hand)
        true = np.asarray(hand.joints_m, np.float64)
        return np.asarray(np.linalg.norm(joints - joints[:, :1] - (true - true[:1]), axis=-1).mean(-1))

    @torch.inference_mode()
    def answers(
        self, pictures: Sequence[NDArray[np.uint8]], camera: Camera, hand: HandLabel
    ) -> tuple[FloatArray, FloatArray]:
        """Joints (N, 21, 3) and vertices (N, V, 3) [m] of a hand in images that a camera took, turned as the camera
        sees them; where they are nobody says."""
        upright = isinstance(self.network, UniHOPELite)
        region = region_of(hand.keypoints_px) if upright else Region.of_box(Box.around(hand.keypoints_px))
        spec = CropSpec.from_region(region, hand.side, (camera.width, camera.height), None, self.network.config.size)
        images = np.stack([cut(picture, spec).image for picture in pictures])
        rows = len(images)
        answer = self.network(
            torch.from_numpy(images).to(self.device),
            torch.from_numpy(np.tile(spec.hand_box, (rows, 1))).to(self.device),
            torch.from_numpy(np.tile(spec.object_box, (rows, 1))).to(self.device),
        ).hand
        rotations, betas = answer.rotations.float().cpu().numpy(), answer.betas.float().cpu().numpy()
        turned = np.stack([rotations_in_camera(row, spec, camera) for row in rotations])
        posed = skin(self.models[hand.side], turned, betas)
        return posed.joints, posed.vertices


def _from_bundle(weights: str | Path) -> tuple[UniHOPE, Mapping[Side, HandModel]]:
    from prehend.backends.torch_ import load_network
    from prehend.weights import load_bundle

    bundle = load_bundle(weights)
    return _of_hands(load_network(bundle), weights), HandModels(bundle).by_side


def _from_run(run: Path) -> tuple[UniHOPE, Mapping[Side, HandModel]]:
    from prehend_training.train.loop.checkpoint import load_result
    from prehend_training.train.presets import preset_of_run

    network = _of_hands(preset_of_run(run).build(), run)
    load_result(run / "checkpoint" / "averaged.safetensors", network)
    model = load_hand_model()
    return network, {model.side: model, (other := model.mirrored()).side: other}


def _of_hands(network: object, weights: str | Path) -> UniHOPE:
    if not isinstance(network, UniHOPE):
        raise AssetError(f"'{weights}' is no network that reconstructs hands: name one, such as unihope-s")
    return network
