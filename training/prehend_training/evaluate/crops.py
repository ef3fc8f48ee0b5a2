"""The network on hands whose boxes are known, many at once, by the robot's own crop and decoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prehend.backends import Backend
from prehend.conventions import Side
from prehend.eval.cases import NAN, HandAnswer, HandScores, score
from prehend.geometry.camera import project
from prehend.geometry.rotations import geodesic_angle
from prehend.hand_model import HandModel, skin
from prehend.pipeline.crops.crop import CropSpec, cut, region_of
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.networks.base import NetworkAnswer
from prehend.pipeline.networks.decode import DecodedHand, decode_hand, rotations_in_camera
from prehend.pipeline.networks.hands import HandModels
from prehend.pipeline.networks.mesh_network import open_network
from prehend.pipeline.observing.object_pose import decode_object
from prehend.types import FloatArray, Region
from prehend_training.data.base import TrainingDataset
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig, exact
from prehend_training.evaluate.labels import Labels, Samples, is_in_picture, labelled_box, object_model, spread_rows
from prehend_training.objects.symmetry import equivalent_points
from prehend_training.sample import HandLabel, ObjectLabel, Sample

BATCH = 32
ABSENT_EVERY = 12
"""One crop without a hand for so many with one, for the presence answer."""

SIDE_EVERY = 4
"""One hand of so many is also shown as of the wrong side, for the answer which side it is."""

SIDE = "side_logit"
"""Output of stage `encode`: the crop shows a right hand rather than a left one."""


class Labelled(NamedTuple):
    """A hand whose box is known.

    Attributes:
        sample: its image. hand: its label. object: what it grasps.
    """

    sample: Sample
    hand: HandLabel
    thing: ObjectLabel | None


class CropAnswer(NamedTuple):
    """What was said about a labelled hand.

    Attributes:
        hand: None where the network's numbers are no pose.
        T_camera_object: (4, 4) of what it truly grasps, None for none; found whatever the switcher says.
        presence: probability that the crop shows a hand.
        object_error: see `_object_error`, NaN if there is no object.
    """

    hand: HandAnswer | None
    T_camera_object: FloatArray | None
    presence: float
    object_error: float


class CropReader:
    """Answers for labelled hands.

    Args:
        backend: of a crop network.
        hand_model: whose mesh comes out, None for the shipped one.
        always_fuses: take the object's feature whatever the switcher says.
    """

    def __init__(self, backend: Backend, hand_model: HandModel | None = None, always_fuses: bool = False):
        self._backend, self._network = backend, open_network(backend)
        self._hands = HandModels(backend.bundle, hand_model)
        self._always_fuses = always_fuses

    def answers(self, batch: Sequence[Labelled]) -> list[CropAnswer]:
        """One answer a hand. The switcher's own answer decides about the fusion; the object stage runs for every hand
        that truly grasps, as in the released evaluation of UniHOPE."""
        specs = [self._spec(one) for one in batch]
        crops = [cut(one.sample.image, spec) for one, spec in zip(batch, specs, strict=True)]
        encoded = self._network.encode(crops)
        said = [self._always_fuses or bool(value >= 0.5) for value in encoded.grasp]
        kinds = [None if one.thing is None else object_model(one.thing).kind[None] for one in batch]
        answers = self._network.answer(crops, encoded, range(len(batch)), said, kinds)
        denied = [row for row, one in enumerate(batch) if one.thing is not None and not said[row]]
        forced = self._network.answer(crops, encoded, denied, [True] * len(denied), [kinds[row] for row in denied])
        for row, told in zip(denied, forced, strict=True):
            answers[row] = answers[row]._replace(things=told.things)
        return [
            self._decode(one, spec, answer, float(presence), float(grasp))
            for one, spec, answer, presence, grasp in zip(
                batch, specs, answers, encoded.presence, encoded.grasp, strict=True
            )
        ]

    def presence(self, images: NDArray[np.uint8]) -> list[float]:
        """Probabilities that crops (B, S, S, 3) show a hand."""
        planes = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
        logits = self._backend.infer("encode", {"image": planes})["presence_logit"]
        return [float(value) for value in probability(logits[:, 0])]

    def sides(self, batch: Sequence[Labelled]) -> list[bool]:
        """Whether the side is told right, of the crops as they should be and of the same crops as of the wrong side;
        empty for a network that does not say."""
        images = np.stack([cut(one.sample.image, self._spec(one)).image for one in batch])
        told: list[bool] = []
        for planes, right in ((images, True), (images[..., ::-1], False)):
            outputs = self._backend.infer("encode", {"image": np.ascontiguousarray(planes)})
            if SIDE in outputs:
                told += [bool((logit > 0) == right) for logit in outputs[SIDE][:, 0]]
        return told

    @property
    def models(self) -> dict[Side, HandModel]:
        """The hand of each side whose mesh comes out."""
        return self._hands.by_side

    @property
    def crop_size(self) -> int:
        """Side of the crops [px]."""
        return self._network.crop_size

    def _spec(self, one: Labelled) -> CropSpec:
        box = labelled_box(one.hand, one.thing)
        size = (one.sample.image.shape[1], one.sample.image.shape[0])
        region = region_of(one.hand.keypoints_px) if self._network.upright else Region.of_box(box.box_px)
        return CropSpec.from_region(region, one.hand.side, size, box.object_box_px, self._network.crop_size)

    def _decode(
        self, one: Labelled, spec: CropSpec, answer: NetworkAnswer, presence: float, grasp: float
    ) -> CropAnswer:
        answer = answer._replace(betas=self._hands.shape(answer.betas))
        model = self._hands.by_side[one.hand.side]
        decoded = decode_hand(answer, spec, one.sample.camera, model)
        pose, object_error = None, NAN
        if isinstance(decoded, DecodedHand):
            said = hand_answer(one.hand, decoded, grasp)
            if answer.things and one.thing is not None:
                found = decode_object(answer.things[0], spec, one.sample.camera, decoded, object_model(one.thing))
                if found is not None:
                    pose = found.T_camera_object
                    object_error = _object_error(found.keypoints_px, one.sample, one.thing)
            return CropAnswer(said, pose, presence, object_error)
        if decoded.reason != "no_position":
            return CropAnswer(None, None, presence, object_error)
        # the pose about the wrist is sound although nobody knows where the wrist is
        rotations = rotations_in_camera(answer.rotations, spec, one.sample.camera)
        posed = skin(model, rotations, answer.betas)
        turned = _turn_error(one.hand, rotations)
        said = HandAnswer(posed.joints, posed.vertices, False, None, grasp, turn_error_rad=turned)
        return CropAnswer(said, None, presence, object_error)


def hand_answer(label: HandLabel, decoded: DecodedHand, grasp: float) -> HandAnswer:
    """A decoded hand of the label's side as an answer."""
    box = labelled_box(label, None).box_px
    pixels = np.linalg.norm(decoded.keypoints_px - label.keypoints_px, axis=-1).mean()
    return HandAnswer(
        decoded.joints_m,
        decoded.vertices_m,
        True,
        None,
        grasp,
        float(pixels / max(box.width, box.height)),
        _turn_error(label, decoded.rotations),
        float((decoded.visible == label.visible).mean()),
    )


def _turn_error(label: HandLabel, rotations: FloatArray) -> float:
    """Angle between the wrist's rotation, of (16, 3, 3), and the label's, NaN where that is unknown [rad]."""
    return NAN if label.rotations is None else float(geodesic_angle(rotations[0], label.rotations[0]))


def _object_error(keypoints_px: FloatArray, sample: Sample, thing: ObjectLabel) -> float:
    """Mean distance of the (21, 2) keypoints to the nearest of the equally right answers, over the box's diagonal."""
    answers = project(equivalent_points(thing), sample.camera)
    box = np.asarray(thing.box_px)
    error = np.linalg.norm(keypoints_px - answers, axis=-1).mean(-1).min()
    return float(error / max(float(np.linalg.norm(box[2:] - box[:2])), 1e-9))


class CropScores(NamedTuple):
    """What came of a number of hands.

    Attributes:
        hands: scores of each.
        present: presence answers of their crops.
        sides: of some of them, whether the network tells their side; empty where it does not answer that.
        object_errors: see `CropAnswer`, of those that hold something.
    """

    hands: list[HandScores]
    present: list[float]
    sides: list[bool]
    object_errors: list[float]


def score_labelled(
    reader: CropReader, samples: Samples, labels: Labels, limit: int | None = None, batch: int = BATCH
) -> CropScores:
    """Score every labelled hand that is in its image.

    Args:
        reader: of the network.
        samples: images.
        labels: how they become truth.
        limit: largest number of images, evenly spread.
        batch: hands looked at together.
    """
    scores = CropScores([], [], [], [])
    hands = _labelled(samples, labels, spread_rows(samples, limit))
    while part := list(islice(hands, batch)):
        for one, answer in zip(part, reader.answers(part), strict=True):
            case = labels.case(one.sample, one.hand, answer.hand, answer.T_camera_object)
            scores.hands.append(score(case))
            scores.present.append(answer.presence)
            if np.isfinite(answer.object_error):
                scores.object_errors.append(answer.object_error)
        scores.sides.extend(reader.sides(part[::SIDE_EVERY]))
    return scores


def _labelled(samples: Samples, labels: Labels, rows: Sequence[int]) -> Iterator[Labelled]:
    for index in tqdm(rows, unit="picture"):
        sample = samples[index]
        for hand in sample.hands:
            if is_in_picture(sample, hand):
                yield Labelled(sample, hand, labels.held(sample, hand))


def absent_presence(reader: CropReader, dataset: TrainingDataset, rows: Iterable[int]) -> list[float]:
    """Presence answers for crops without a hand: beside it, background, or the object alone; a place as it is.

    Args:
        reader: of the network.
        dataset: crops, or places.
        rows: which of them.
    """
    config = replace(exact(CropDataConfig(size_px=reader.crop_size)), absent_p=1.0)
    source = CropBatches(dataset, config, seed=0, batch_size=1)
    indices = iter(rows)
    said: list[float] = []
    while part := list(islice(indices, BATCH)):
        samples = [source.sample(index, np.random.default_rng([0, index])) for index in part]
        said += reader.presence(np.stack([sample["image"] for sample in samples]))
    return said
