"""The hand network on the targets of a frame: which of them are hands, of which side, and what it says about each."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from copy import copy
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.object_catalogue import ObjectModel
from prehend.pipeline.crops.crop import CropSpec, from_box, whole_crop
from prehend.pipeline.crops.letterbox import probability
from prehend.pipeline.crops.regions import fit_to_box, is_off, near_to, upright_region
from prehend.pipeline.crops.uncut import AnyCrop, CropSource
from prehend.pipeline.frames.handedness import FRAME_S, evidence_of, is_doubtful
from prehend.pipeline.frames.memory import Moment
from prehend.pipeline.frames.targets import NoHand, Target, cut_target
from prehend.pipeline.networks.base import CropNetwork, Encoded, NetworkAnswer
from prehend.pipeline.networks.decode import crop_to_camera
from prehend.pipeline.networks.fresh import enlarged
from prehend.pipeline.options import EstimatorOptions
from prehend.types import Camera, Region

LIKELIER = 0.5
"""A larger crop is answered in place of the one that the detector asks for where it alone shows rather a hand than
none: what is small in its crop is told left from right less surely."""

SECOND_CROP_LOSS = 0.5
"""A second crop stands unless it shows a hand with less than this share of the first one's probability."""


class Reading(NamedTuple):
    """What the network says about one target.

    Attributes:
        target: with its region and side as they are after this frame.
        spec: of the crop that was answered.
        score: probability of a hand.
        side_score: probability that it is of the target's side; NaN of weights that were never taught sides.
        grasp: probability that it holds something.
        answer: pose, shape, keypoints, and what it may hold.
    """

    target: Target
    spec: CropSpec
    score: float
    side_score: float
    grasp: float
    answer: NetworkAnswer


def kinds_of(objects: Sequence[ObjectModel]) -> NDArray[np.float32] | None:
    """(K, 10) descriptions of what the hands may hold; None for none."""
    return np.stack([model.kind for model in objects]) if objects else None


class _CroppedTarget(NamedTuple):
    """A target and its crop, of the image of a camera."""

    picture: CropSource
    target: Target
    crop: AnyCrop
    camera: Camera


class _Batch:
    """The targets of one or more frames while they are looked at; rows of all its parts belong together."""

    def __init__(
        self, pictures: Sequence[CropSource], targets: Sequence[Target], crops: Sequence[AnyCrop], encoded: Encoded
    ):
        self.pictures, self.targets, self.crops, self.encoded = pictures, list(targets), list(crops), encoded
        self.side_odds = [0.0] * len(self.targets)  # log-odds of the target's side, by this frame alone

    def put(self, row: int, crop: AnyCrop, other: Encoded, other_row: int) -> None:
        """Another crop of the same hand, and what was said of it."""
        self.crops[row] = crop
        self.encoded.put([row], other, [other_row])

    def take(self, row: int, other: "_Batch", other_row: int) -> None:
        """What another batch says of the same hand."""
        self.targets[row], self.side_odds[row] = other.targets[other_row], other.side_odds[other_row]
        self.put(row, other.crops[other_row], other.encoded, other_row)


class Inference:
    """Runs the hand network; keeps nothing from frame to frame.

    Args:
        network: the hand network.
        options: what counts as a hand.
        kinds: (K, 10) descriptions of what the hands may hold, see `object_catalogue.object_kind`; None for none.
    """

    def __init__(self, network: CropNetwork, options: EstimatorOptions, kinds: NDArray[np.float32] | None = None):
        self._network, self._options, self._kinds = network, options, kinds
        self._pool: ThreadPoolExecutor | None = None

    def use(self, options: EstimatorOptions, kinds: NDArray[np.float32] | None) -> None:
        """Go on with other options and descriptions."""
        self._options, self._kinds = options, kinds

    def run(
        self, picture: CropSource, targets: Sequence[tuple[Target, AnyCrop | None]], given: bool, camera: Camera
    ) -> list[Reading | NoHand]:
        """Look at the crops of some targets; again where the hand lies otherwise in its crop than it should, at the
        mirror images where a side is in doubt, and at larger ones of what was found and seems to be no hand.

        Args:
            picture: the image, for the second crops.
            targets: with their crops for the side that each has now; None for one outside of the image.
            given: somebody says that there are hands; none is missing for a low score.
            camera: of the image.
        """
        return self.run_many([(picture, targets, camera)], given)[0]

    def run_many(
        self, frames: Sequence[tuple[CropSource, Sequence[tuple[Target, AnyCrop | None]], Camera]], given: bool = False
    ) -> list[list[Reading | NoHand]]:
        """The same for the images of several cameras, with each stage run once for all of them.

        Args:
            frames: each an image with its targets and its camera, as of `run`.
            given: see `run`.

        Returns:
            What `run` gives for each of them.
        """
        found: list[list[Reading | NoHand]] = [
            [NoHand("left_image", target) for target, crop in targets if crop is None] for _, targets, _ in frames
        ]
        rows = [
            (number, target, crop)
            for number, (_, targets, _) in enumerate(frames)
            for target, crop in targets
            if crop is not None
        ]
        if not rows:
            return found
        looks = [_CroppedTarget(frames[number][0], target, crop, frames[number][2]) for number, target, crop in rows]
        for (number, _, _), reading in zip(rows, self._readings(looks, given), strict=True):
            found[number].append(reading)
        return found

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._pool is not None:
            self._pool.shutdown()

    def _readings(self, looks: Sequence[_CroppedTarget], given: bool) -> list[Reading | NoHand]:
        """In one batch, or in as many beside each other as the backend likes. No hand has anything to do with
        another."""
        lanes = min(self._network.at_once, len(looks))
        if lanes < 2:
            return self._together(looks, given)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._network.at_once - 1, "prehend-hands")
        # hands that hold something take longer: each batch gets its share of them
        order = sorted(range(len(looks)), key=lambda row: looks[row].target.object_box_px is None)
        parts = [order[lane::lanes] for lane in range(lanes)]
        others = [self._pool.submit(self._together, [looks[row] for row in part], given) for part in parts[1:]]
        try:
            answers = [self._together([looks[row] for row in parts[0]], given)]
        finally:
            wait(others)
        answers += [other.result() for other in others]
        found = dict(zip(chain(*parts), chain(*answers), strict=True))
        return [found[row] for row in range(len(looks))]

    def _together(self, looks: Sequence[_CroppedTarget], given: bool) -> list[Reading | NoHand]:
        asked = [look._replace(target=look.target._replace(belief=copy(look.target.belief))) for look in looks]
        batch = self._looked(looks, given)
        hands = {} if given else self._look_larger(batch, asked)
        return self._answers(batch, given, [look.camera for look in looks], hands)

    def _looked(self, looks: Sequence[_CroppedTarget], given: bool) -> _Batch:
        crops = [look.crop for look in looks]
        batch = _Batch(
            [look.picture for look in looks], [look.target for look in looks], crops, self._network.encode(crops)
        )
        self._crop_again(batch, given)
        self._choose_sides(batch, given)
        return batch

    def _look_larger(self, batch: _Batch, looks: Sequence[_CroppedTarget]) -> dict[int, bool]:
        """Look at larger crops of what the detector found and the network does not take for a hand; they stand where
        they alone show one.

        Args:
            batch: after the first look.
            looks: before it.

        Returns:
            Whether there is a hand all the same, by row.
        """
        rule = self._network.fresh
        if rule is None or self._options.detector_score is not None:
            return {}
        larger: dict[int, _CroppedTarget] = {}
        for row, look in enumerate(looks):
            if look.target.found is not None and batch.encoded.presence[row] < self._lowest(look.target):
                target = look.target._replace(region=enlarged(look.target.region))
                if (crop := cut_target(look.picture, target, self._network.crop_size)) is not None:
                    larger[row] = look._replace(target=target, crop=crop)
        if not larger:
            return {}
        other, hands = self._looked(list(larger.values()), given=False), dict[int, bool]()
        for k, (row, look) in enumerate(larger.items()):
            first, second = float(batch.encoded.presence[row]), float(other.encoded.presence[k])
            hands[row] = rule.is_hand(look.target.found or 0.0, first, second)
            if first < LIKELIER < second:
                batch.take(row, other, k)
        return hands

    def _crop_again(self, batch: _Batch, given: bool) -> None:
        """Cut the crops again that the joints seen in them call for, once. One more batch of the network's first
        stage, as large as there are such hands."""
        again: dict[int, tuple[Target, AnyCrop]] = {}
        for row, target in enumerate(batch.targets):
            likely = given or batch.encoded.presence[row] > self._likely(target)
            region = _wanted_region(target, batch.crops[row].spec, batch.encoded, row) if likely else None
            if region is None or not is_off(region, target.region):
                continue
            moved = target._replace(region=region)
            if (crop := cut_target(batch.pictures[row], moved, self._network.crop_size)) is not None:
                again[row] = (moved, crop)
        if not again:
            return
        second = self._network.encode([crop for _, crop in again.values()])
        for k, (row, (moved, crop)) in enumerate(again.items()):
            if second.presence[k] >= SECOND_CROP_LOSS * batch.encoded.presence[row]:
                batch.targets[row] = moved
                batch.put(row, crop, second, k)

    def _choose_sides(self, batch: _Batch, given: bool) -> None:
        """Add up the evidence about sides; the crops become those of the sides that are believed then."""
        encoded = batch.encoded
        doubtful = [
            row
            for row, target in enumerate(batch.targets)
            if is_doubtful(target.belief, float(encoded.side_logit[row]))
            and (given or encoded.presence[row] > self._likely(target))
        ]
        mirrored = [batch.crops[row].for_other_side() for row in doubtful]
        other = self._network.encode(mirrored) if mirrored else None
        for row, target in enumerate(batch.targets):
            logit, opposite, presence, before = float(encoded.side_logit[row]), None, encoded.presence[row], target.side
            if other is not None and row in doubtful:
                k = doubtful.index(row)
                opposite, presence = float(other.side_logit[k]), max(presence, other.presence[k])
            if given or presence >= self._lowest(target):
                target.belief.seen(evidence_of(target.belief, logit, opposite), target.unseen_s or FRAME_S)
            odds = logit if opposite is None else (logit - opposite) / 2
            batch.side_odds[row] = odds if target.side == before else -odds
            if other is not None and target.side != before:
                k = doubtful.index(row)
                batch.put(row, mirrored[k], other, k)

    def _answers(
        self, batch: _Batch, given: bool, cameras: Sequence[Camera], hands: Mapping[int, bool]
    ) -> list[Reading | NoHand]:
        encoded, rows = batch.encoded, list[int]()
        result: dict[int, Reading | NoHand] = {}
        for row, (target, presence) in enumerate(zip(batch.targets, encoded.presence, strict=True)):
            if not np.isfinite(presence):
                result[row] = NoHand("not_finite", target)
            elif not given and not self._is_hand(target, presence, hands.get(row)):
                result[row] = NoHand("no_hand", target)
            else:
                rows.append(row)
        holds = [self._holds(batch.targets[row], float(encoded.grasp[row])) for row in rows]
        moments = [_moment(batch, row, cameras[row]) for row in rows] if self._network.looks_back else None
        answers = self._network.answer(batch.crops, encoded, rows, holds, [self._kinds] * len(rows), moments)
        for row, answer in zip(rows, answers, strict=True):
            target, score, grasp = batch.targets[row], float(encoded.presence[row]), float(encoded.grasp[row])
            side_score = _side_score(target, batch.side_odds[row])
            result[row] = Reading(target, batch.crops[row].spec, score, side_score, grasp, answer)
        return [result[row] for row in range(len(batch.targets))]

    def _is_hand(self, target: Target, presence: float, weighed: bool | None) -> bool:
        """By presence alone, or as it was weighed together with the detector's score and a second look."""
        if weighed is None:
            return presence >= self._lowest(target)
        return weighed and presence >= self._options.min_score

    def _lowest(self, target: Target) -> float:
        if target.doubted:
            return max(self._options.min_score, self._network.sure)
        return self._options.lowest_kept if target.followed else self._options.min_score

    def _likely(self, target: Target) -> float:
        """Presence above which a crop is worth another look."""
        return (self._options.min_score if target.doubted else self._lowest(target)) / 2

    def _holds(self, target: Target, grasp: float) -> bool:
        return target.holds(grasp) if self._options.tracking else grasp >= 0.5


def _moment(batch: _Batch, row: int, camera: Camera) -> Moment:
    target = batch.targets[row]
    return Moment(target.past, target.stamp_s, crop_to_camera(batch.crops[row].spec, camera))


def _side_score(target: Target, log_odds: float) -> float:
    """Probability of the target's side: certain where a user said so, unknown to weights that were never taught."""
    if np.isinf(target.belief.log_odds):
        return 1.0
    return float("nan") if log_odds == 0 else float(probability(log_odds))


def _wanted_region(target: Target, spec: CropSpec, encoded: Encoded, row: int) -> Region | None:
    """The region that the places of the joints in a crop call for; None where the network does not tell them."""
    if encoded.places is None or not np.isfinite(encoded.places[row]).all():
        return None
    places = spec.to_image(from_box(encoded.places[row], whole_crop(spec.size)))
    if target.given_px is not None:
        places = fit_to_box(places, target.given_px)
    return near_to(upright_region(places, target.region.turn_rad), target.region)
