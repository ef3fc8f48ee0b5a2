"""What a preset means for the loop: a network, batches, loss terms."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.errors import AssetError
from prehend.geometry.rotations import matrix_from_axis_angle, nearest_rotation
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.finder import Finder, Found, build_finder
from prehend.models.h2onet import build_h2onet
from prehend.models.mano_head import ManoHead
from prehend.models.palm import build_palm
from prehend.models.unihope import Output, UniHOPE, build_unihope
from prehend.models.unihope_lite import UniHOPELite, build_unihope_lite
from prehend_training.data.crop_targets import Arrays
from prehend_training.data.crops import BatchSource, Corpus, CropBatches
from prehend_training.data.frames import DetectorBatches
from prehend_training.data.open import DataSource, open_corpus
from prehend_training.data.views import mirror_left
from prehend_training.losses.crop import (
    SampledHand,
    SeenObjects,
    Terms,
    hand_terms,
    heatmap_terms,
    map_terms,
    object_terms,
    switch_terms,
)
from prehend_training.losses.detector import detector_terms
from prehend_training.losses.lite import SKELETON, lite_terms, object_kind_terms
from prehend_training.losses.pairs import LEVELS, enhancement_terms, twin_target
from prehend_training.losses.paper import PaperLossWeights, paper_hand_terms, paper_object_terms
from prehend_training.train.h2onet import H2ONetPreset, H2ONetTask
from prehend_training.train.heads import Answers, Batch, LiteModelWithHeads, ModelWithHeads
from prehend_training.train.lifting import LiftBatches, keep_head_only, lift_terms, poses_of, skeleton_terms
from prehend_training.train.presets import CropPreset, DetectorPreset, LitePreset, PalmPreset, Preset

MEAN_POSE_SAMPLES = 2000
LIFT_SAMPLES = 24_000


class Task(Protocol):
    """The part of training that differs from network to network."""

    preset: Preset
    source: BatchSource

    def network(self) -> nn.Module:
        """A fresh network, initialised from the data where that helps."""
        ...

    def terms(self, network: nn.Module, batch: Batch, used: float) -> Terms:
        """Loss terms of a batch; `image` is (B, 3, S, S) float in [0, 1], the rest as in the source's arrays; `used` is
        the share of the budget that is used up."""
        ...


class CropTask:
    """Training of UniHOPE on crops."""

    def __init__(self, preset: CropPreset, data: DataSource):
        self.preset: Preset = preset
        self._crop_preset = preset
        twins = preset.twins is not None
        self.corpus = open_corpus(data, "crops", twins, preset.data.size_px)
        self.source: BatchSource = self._source(preset, twins)
        paper = isinstance(preset.loss, PaperLossWeights)
        self._hand: HandLayer = HandLayer(load_hand_model()) if paper else SampledHand(load_hand_model())

    def network(self) -> ModelWithHeads:
        """UniHOPE whose pose offsets start from the mean pose of the data."""
        chosen = self._crop_preset
        network = build_unihope(chosen.config)
        head = network.mano_head
        assert isinstance(head, ManoHead)
        head.set_mean_pose(torch.tensor(mean_pose(self.corpus), dtype=torch.float32))
        supervised = ModelWithHeads(network, chosen.fusion, chosen.twins)
        if chosen.trains == "maps":
            supervised.keep_maps_only()
        elif chosen.trains == "lift":
            keep_head_only(supervised)
        return supervised

    def _source(self, preset: CropPreset, twins: bool) -> BatchSource:
        size = preset.optimisation.batch_size
        if preset.trains == "lift":
            records = (self.corpus[row] for row in self.corpus.first(LIFT_SAMPLES))
            return LiftBatches(*poses_of(records), preset.lift, preset.seed, size)
        return CropBatches(self.corpus, preset.data, preset.seed, size, twins)

    def terms(self, network: nn.Module, batch: Batch, used: float) -> Terms:
        """Terms of the preset's loss, of the part that it trains."""
        assert isinstance(network, ModelWithHeads)
        if self._crop_preset.trains == "lift":
            assert isinstance(self._hand, SampledHand)
            return lift_terms(network, batch, self._hand.to(batch["places"].device))
        if self._crop_preset.trains == "maps":
            encoded, read = network.encode(batch["image"])
            return map_terms(read, batch) | switch_terms(encoded, batch)
        answers = network(batch).in_full()
        with torch.autocast(batch["image"].device.type, enabled=False):
            terms = self._sample_terms(network.network, answers.output, batch, answers.read)
            if network.twins is None:
                return terms
            return terms | self._pair_terms(network, answers, batch, terms, used)

    def _sample_terms(self, network: UniHOPE, output: Output, batch: Batch, read: Batch) -> Terms:
        """Terms of the pictures."""
        hand = self._hand.to(batch["image"].device)
        terms = switch_terms(output.encoded, batch)
        if isinstance(self._crop_preset.loss, PaperLossWeights):
            return terms | paper_hand_terms(output.hand, batch, hand) | paper_object_terms(output, batch)
        terms |= hand_terms(output.hand, batch, hand) | object_terms(output, batch)
        return terms | heatmap_terms(network, output.heatmaps, batch) | map_terms(read, batch)

    def _pair_terms(self, network: ModelWithHeads, answers: Answers, batch: Batch, terms: Terms, used: float) -> Terms:
        """Terms of the hand and the switcher as means of pictures and twins, and of the features' differences."""
        assert network.twins is not None and network.mapper is not None
        zero = terms["grasp"].new_zeros(())
        enhancement = {f"{level}_enhancement": zero for level in LEVELS}
        if answers.twin is None:
            return enhancement
        target = twin_target(batch, answers.twin_rows)
        paper = isinstance(self._crop_preset.loss, PaperLossWeights)
        of_hand = (paper_hand_terms if paper else hand_terms)(answers.twin.hand, target, self._hand)
        of_twins = of_hand | switch_terms(answers.twin.encoded, target)
        if not paper:
            of_twins |= heatmap_terms(network.network, answers.twin.heatmaps, target)
        both = {name: (terms[name] + value) / 2 for name, value in of_twins.items() if name != "visibility"}
        if used >= network.twins.begin:
            enhancement = enhancement_terms(
                network.twins, answers.output, answers.twin, answers.twin_rows, batch["visible_ratio"], network.mapper
            )
        return both | enhancement


class LiteTask(CropTask):
    """Training of UniHOPE on a pretrained trunk: crops, some of them photographs, and skeletons without pictures."""

    def __init__(self, preset: LitePreset, data: DataSource):
        super().__init__(preset, data)
        self._lite = preset
        assert isinstance(self._hand, SampledHand)

    def network(self) -> ModelWithHeads:
        """The network with a fresh trunk; `checkpoint.load_start` gives it the pretrained one."""
        chosen = self._lite
        network = build_unihope_lite(chosen.config)
        network.mano_head.set_mean_pose(torch.tensor(mean_pose(self.corpus), dtype=torch.float32))
        supervised = LiteModelWithHeads(network, chosen.fusion, chosen.code_dropout)
        if chosen.trains == "lift":
            keep_head_only(supervised)
        elif chosen.trains == "object":
            supervised.requires_grad_(False)
            for part in network.object_parts():
                part.requires_grad_(True)
        elif chosen.freeze_start:
            network.trunk.stem.requires_grad_(False)
            network.trunk.stages[0].requires_grad_(False)
        return supervised

    def _source(self, preset: CropPreset, twins: bool) -> BatchSource:
        assert isinstance(preset, LitePreset)
        if preset.trains == "lift":
            return super()._source(preset, twins)
        if preset.trains == "object":
            return CropBatches(self.corpus, preset.data, preset.seed, preset.optimisation.batch_size, twins)
        crops = CropBatches(self.corpus, preset.data, preset.seed, preset.optimisation.batch_size, twins)
        records = (self.corpus[row] for row in self.corpus.first(LIFT_SAMPLES))
        skeletons = LiftBatches(*poses_of(records), preset.lift, preset.seed, preset.skeletons)
        return WithSkeletons(crops, skeletons)

    def terms(self, network: nn.Module, batch: Batch, used: float) -> Terms:
        """Terms of the preset's loss, of the part that it trains."""
        if self._lite.trains != "object":
            return super().terms(network, batch, used)
        assert isinstance(network, ModelWithHeads) and isinstance(network.network, UniHOPELite)
        rows = batch["has_points"].nonzero()[:, 0]
        held = {name: value[rows] for name, value in batch.items()}
        inner = network.network
        with torch.no_grad():
            encoded = inner.encode(held["image"].contiguous(memory_format=torch.channels_last))
        boxes = held["hand_box"], held["object_box"]
        thing = inner.object_(encoded.object_source, encoded.hand_map, *boxes, held["object_kind"])
        every = torch.arange(len(rows))
        return object_terms(SeenObjects(thing.object_points, every), _described(held)) | object_kind_terms(
            thing, every, held
        )

    def _sample_terms(self, network: UniHOPE, output: Output, batch: Batch, read: Batch) -> Terms:
        assert isinstance(network, UniHOPELite) and isinstance(self._hand, SampledHand)
        hand = self._hand.to(batch["image"].device)
        terms = switch_terms(output.encoded, batch) | hand_terms(output.hand, batch, hand)
        terms |= object_terms(output, _described(batch)) | object_kind_terms(output.thing, output.object_rows, batch)
        terms |= heatmap_terms(network, output.heatmaps, batch)
        terms |= {k: v for k, v in map_terms(read, batch).items() if k != "coarse_joints"}
        terms |= lite_terms(network, output.encoded.places, output.hand, batch)  # type: ignore[attr-defined, arg-type]
        skeletons = {k.removeprefix(SKELETON): v for k, v in batch.items() if k.startswith(SKELETON)}
        taught = skeleton_terms(network.mano_head, network.config, skeletons, hand)
        return terms | {SKELETON + name: value for name, value in taught.items()}


def _described(batch: Batch) -> Batch:
    """The batch, in which of an object that was described wrongly no points are asked."""
    return dict(batch) | {"has_points": batch["has_points"] * batch["kind_match"]}


@dataclass(frozen=True)
class WithSkeletons:
    """Batches of crops with skeletons beside them, whose arrays' names begin with `SKELETON`."""

    crops: BatchSource
    skeletons: LiftBatches

    def batch(self, step: int, part: tuple[int, int] = (0, 1)) -> Arrays:
        """See `BatchSource`."""
        beside = {SKELETON + name: value for name, value in self.skeletons.batch(step, part).items()}
        return self.crops.batch(step, part) | beside


def mean_pose(corpus: Corpus) -> np.ndarray:
    """(16, 3, 3) rotations closest to those of the first samples, as right hands; the wrist's is left at none.

    Where no pose is known: the mean pose of the hand model."""
    records = (mirror_left(corpus[row]) for row in corpus.first(MEAN_POSE_SAMPLES))
    known = [record["rotations"][0] for record in records if record["has_pose"][0]]
    if known:
        mean = np.asarray(nearest_rotation(np.mean(known, 0)), np.float64)
    else:
        fingers = load_hand_model().hands_mean.reshape(-1, 3)
        mean = np.asarray(matrix_from_axis_angle(np.concatenate([np.zeros((1, 3)), fingers])), np.float64)
    mean[0] = np.eye(3)
    return mean


class DetectorWithHeads(nn.Module):
    """A detector with a layer that tells hands and held things apart from the rest; only `network` is kept."""

    def __init__(self, network: Finder):
        super().__init__()
        self.network = network
        self.dense = nn.Conv2d(network.config.head, 3, 1)

    def forward(self, image: Tensor) -> tuple[Found, Tensor]:
        """The detector's maps, and (B, 3, G, G) logits of rest, hand and held object."""
        features = self.network.features(image)
        return self.network.answer(features), self.dense(features)


class DetectorTask:
    """Training of the detector on frames."""

    def __init__(self, preset: DetectorPreset, data: DataSource):
        self.preset: Preset = preset
        self._detector_preset = preset
        self.corpus = open_corpus(data, "frames", twins=False)
        self.source: BatchSource = DetectorBatches(
            self.corpus, preset.data, preset.seed, preset.optimisation.batch_size
        )

    def network(self) -> nn.Module:
        """A fresh detector."""
        return DetectorWithHeads(build_finder(self._detector_preset.config))

    def terms(self, network: nn.Module, batch: Batch, used: float) -> Terms:
        """See `detector_terms`."""
        found, dense = network(batch["image"])
        return detector_terms(found, batch) | {"segments": F.cross_entropy(dense, batch["segments"].long())}


def open_task(preset: Preset, data: DataSource) -> Task:
    """The task of a preset.

    Raises:
        AssetError: the data are not what the preset trains on.
    """
    if isinstance(preset, LitePreset):
        return LiteTask(preset, data)
    if isinstance(preset, H2ONetPreset):
        return H2ONetTask(preset, data)  # type: ignore[return-value]  # its preset is of its own kind
    if isinstance(preset, PalmPreset):
        raise AssetError(
            f"'{preset.name}' learns from labelled photographs too: train it with `prehend-train palms train`"
        )
    return CropTask(preset, data) if isinstance(preset, CropPreset) else DetectorTask(preset, data)


def network_of(preset: Preset) -> UniHOPE | nn.Module:
    """The network of a preset with fresh weights, without data."""
    if isinstance(preset, LitePreset):
        return build_unihope_lite(preset.config)
    if isinstance(preset, H2ONetPreset):
        return build_h2onet(preset.config)
    if isinstance(preset, PalmPreset):
        return build_palm(preset.config)
    return build_unihope(preset.config) if isinstance(preset, CropPreset) else build_finder(preset.config)
