"""What a preset means for the loop: a network, batches, loss terms."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.geometry.rotations import matrix_from_axis_angle, nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.models.finder import Finder, Found, build_finder
from prehend.models.mano_head import ManoHead
from prehend.models.unihope import Encoded, Output, UniHOPE, build_unihope
from prehend_training.data import BatchSource, Corpus, CropBatches
from prehend_training.finder_data import FinderBatches
from prehend_training.finder_losses import finder_terms
from prehend_training.losses import DENSE_CHANNELS, SampledHand, Terms, crop_terms, dense_terms, map_terms, switch_terms
from prehend_training.presets import CropPreset, FinderPreset, Preset
from prehend_training.sources import DataSource, open_corpus
from prehend_training.views import mirror_left

MEAN_POSE_SAMPLES = 2000

Batch = Mapping[str, Tensor]

class Task(Protocol):
    """The part of training that differs from network to network."""

    preset: Preset
    source: BatchSource

    def network(self) -> nn.Module:
        """A fresh network, initialised from the data where that helps."""
        ...

    def terms(self, network: nn.Module, batch: Batch) -> Terms:
        """Loss terms of a batch; `image` is (B, 3, S, S) float in [0, 1], the rest as in the source's arrays."""
        ...


class Supervised(nn.Module):
    """A crop network with a layer that reads maps from its hand map; only `network` is kept after training."""

    def __init__(self, network: UniHOPE):
        super().__init__()
        self.network = network
        self.dense = nn.Conv2d(network.config.channels, DENSE_CHANNELS, 1)

    def forward(self, batch: Batch) -> tuple[Output, Tensor]:
        """The network's output, and (B, `DENSE_CHANNELS`, S / 4, S / 4)."""
        told = batch["told_grasp"]
        output = self.network(batch["image"], batch["hand_box"], batch["object_box"], told[:, None], told > 0.5)
        return output, self.dense(output.encoded.hand_map)

    def encode(self, image: Tensor) -> tuple[Encoded, Tensor]:
        """The first stage alone, and the maps."""
        encoded = self.network.encode(image)
        return encoded, self.dense(encoded.hand_map)

    def keep_maps_only(self) -> None:
        """Let only be trained what leads to the maps and the switcher's answers."""
        size = self.network.config.size
        self.eval()  # the statistics shall not see this picture
        encoded, maps = self.encode(torch.zeros(1, 3, size, size))
        (encoded.grasp_logit.sum() + encoded.presence_logit.sum() + maps.sum()).backward()
        self.train()
        for parameter in self.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None


class CropTask:
    """Training of UniHOPE on crops."""

    def __init__(self, preset: CropPreset, data: DataSource):
        self.preset: Preset = preset
        self._crop_preset = preset
        self.corpus = open_corpus(data, "crops", crop_px=preset.data.size_px)
        self.source: BatchSource = CropBatches(self.corpus, preset.data, preset.seed, preset.optimisation.batch_size)
        self._hand = SampledHand(load_hand_model())

    def network(self) -> Supervised:
        """UniHOPE whose pose offsets start from the mean pose of the data."""
        network = build_unihope(self._crop_preset.config)
        head = network.mano_head
        assert isinstance(head, ManoHead)
        head.set_mean_pose(torch.tensor(mean_pose(self.corpus), dtype=torch.float32))
        supervised = Supervised(network)
        if self._crop_preset.maps_only:
            supervised.keep_maps_only()
        return supervised

    def terms(self, network: nn.Module, batch: Batch) -> Terms:
        """See `crop_terms` and `dense_terms`; the object is computed in the rows in which the hand stage is told that
        there is one."""
        assert isinstance(network, Supervised)
        if self._crop_preset.maps_only:
            encoded, maps = network.encode(batch["image"])
            return map_terms(maps, batch) | switch_terms(encoded, batch)
        output, dense = network(batch)
        terms = crop_terms(output, batch, self._hand.to(dense.device))
        return terms | dense_terms(network.network, output, dense, batch)


def mean_pose(corpus: Corpus) -> np.ndarray:
    """(16, 3, 3) rotations closest to those of the first samples, as right hands; the wrist's is left at none.

    Where no pose is known: the mean pose of the hand model."""
    records = (mirror_left(corpus[row]) for row in corpus.first(MEAN_POSE_SAMPLES))
    known = [record["rotations"][0] for record in records if record["has_pose"][0]]
    if known:
        mean = np.asarray(nearest_rotation(np.mean(known, 0)), np.float64)
    else:
        fingers = load_hand_model().hands_mean.reshape(-1, 3)
        mean = matrix_from_axis_angle(np.concatenate([np.zeros((1, 3)), fingers]))
    mean[0] = np.eye(3)
    return mean


class SupervisedFinder(nn.Module):
    """A finder with a layer that tells hands and held things apart from the rest; only `network` is kept."""

    def __init__(self, network: Finder):
        super().__init__()
        self.network = network
        self.dense = nn.Conv2d(network.config.head, 3, 1)

    def forward(self, image: Tensor) -> tuple[Found, Tensor]:
        """The finder's maps, and (B, 3, G, G) logits of rest, hand and held object."""
        features = self.network.features(image)
        return self.network.answer(features), self.dense(features)


class FinderTask:
    """Training of the finder on frames."""

    def __init__(self, preset: FinderPreset, data: DataSource):
        self.preset: Preset = preset
        self._finder_preset = preset
        self.corpus = open_corpus(data, "frames", twins=False)
        self.source: BatchSource = FinderBatches(self.corpus, preset.data, preset.seed, preset.optimisation.batch_size)

    def network(self) -> nn.Module:
        """A fresh finder."""
        return SupervisedFinder(build_finder(self._finder_preset.config))

    def terms(self, network: nn.Module, batch: Batch) -> Terms:
        """See `finder_terms`."""
        found, dense = network(batch["image"])
        return finder_terms(found, batch) | {"segments": F.cross_entropy(dense, batch["segments"].long())}


def open_task(preset: Preset, data: DataSource) -> Task:
    """The task of a preset.

    Raises:
        AssetError: the data are not what the preset trains on.
    """
    return CropTask(preset, data) if isinstance(preset, CropPreset) else FinderTask(preset, data)


def network_of(preset: Preset) -> UniHOPE | nn.Module:
    """The network of a preset with fresh weights, without data."""
    return build_unihope(preset.config) if isinstance(preset, CropPreset) else build_finder(preset.config)
