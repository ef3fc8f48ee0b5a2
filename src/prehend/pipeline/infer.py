"""The hand network on the tracks of a frame: which of them are hands, of which side, and what it says about each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prehend.pipeline.config import EstimatorConfig
from prehend.pipeline.crop import Crop, CropSpec, from_box, whole_crop
from prehend.pipeline.handedness import FRAME_S, evidence_of, is_doubtful
from prehend.pipeline.network import Encoded, HandAnswer, HandNetwork
from prehend.pipeline.regions import fit_to_box, is_off, near_to, upright_region
from prehend.pipeline.track import Track
from prehend.types import Region

SECOND_LOOK_LOSS = 0.5
"""A second look stands unless it sees a hand with less than this share of the first one's probability."""

Cutter = Callable[[Track], Crop | None]
"""Cuts a track's crop out of the picture: at its region, for its side; None where that lies outside."""


class Seen(NamedTuple):
    """What the network says about one track; presence and grasp are probabilities."""

    track: Track
    spec: CropSpec
    presence: float
    grasp: float
    answer: HandAnswer


class Unseen(NamedTuple):
    """A track that shows no hand, and why: see `Estimator.drops`."""

    track: Track
    reason: str


class Reader:
    """Runs the hand network; keeps nothing from frame to frame but what it writes into the tracks' beliefs.

    Args:
        network: the hand network.
        config: what counts as a hand.
        kinds: (K, 10) descriptions of what the hands may hold, see `objects.object_kind`; None for none.
    """

    def __init__(self, network: HandNetwork, config: EstimatorConfig, kinds: NDArray[np.float32] | None = None):
        self._network, self._config, self._kinds = network, config, kinds

    def read(
        self, tracks: Sequence[Track], crops: Sequence[Crop], cut_again: Cutter, given: bool
    ) -> list[Seen | Unseen]:
        """Look at the crops of some tracks; again where the hand lies otherwise in its crop than it should, and at the
        mirror images where a side is in doubt.

        Args:
            tracks: their beliefs about sides are brought up to date, and their regions where they were cut again.
            crops: for the side that each track has now.
            cut_again: for the second look.
            given: somebody says that there are hands; none is unseen for a low presence.

        Returns:
            For each track, in their order, what was seen.
        """
        if not crops:
            return []
        crops = list(crops)
        encoded = self._network.encode(crops)
        self._look_again(tracks, crops, encoded, cut_again, given)
        self._choose_sides(tracks, crops, encoded, given)
        rows: list[int] = []
        result: dict[int, Seen | Unseen] = {}
        for row, (track, presence) in enumerate(zip(tracks, encoded.presence, strict=True)):
            if not np.isfinite(presence):
                result[row] = Unseen(track, "not_finite")
            elif presence < self._lowest(track) and not given:
                result[row] = Unseen(track, "no_hand")
            else:
                rows.append(row)
        holds = [self._holds(tracks[row], float(encoded.grasp[row])) for row in rows]
        answers = self._network.answer(crops, encoded, rows, holds, [self._kinds] * len(rows))
        for row, answer in zip(rows, answers, strict=True):
            presence, grasp = float(encoded.presence[row]), float(encoded.grasp[row])
            result[row] = Seen(tracks[row], crops[row].spec, presence, grasp, answer)
        return [result[row] for row in range(len(tracks))]

    def _look_again(
        self, tracks: Sequence[Track], crops: list[Crop], encoded: Encoded, cut_again: Cutter, given: bool
    ) -> None:
        """Cut the crops again that the joints seen in them call for, once; `crops` and `encoded` become the better
        ones. One more batch of the network's first stage, as large as there are such hands."""
        again: dict[int, Crop] = {}
        before = [track.region for track in tracks]
        for row, track in enumerate(tracks):
            likely = given or encoded.presence[row] > self._lowest(track) / 2
            region = _wanted_region(track, crops[row].spec, encoded, row) if likely else None
            if region is None or not is_off(region, track.region):
                continue
            track.region = region
            if (crop := cut_again(track)) is None:
                track.region = before[row]
            else:
                again[row] = crop
        second = self._network.encode(list(again.values())) if again else None
        for k, (row, crop) in enumerate(again.items()):
            if second is not None and second.presence[k] >= SECOND_LOOK_LOSS * encoded.presence[row]:
                crops[row] = crop
                encoded.put([row], second, [k])
            else:
                tracks[row].region = before[row]

    def _choose_sides(self, tracks: Sequence[Track], crops: list[Crop], encoded: Encoded, given: bool) -> None:
        """Add up the evidence about sides; `crops` and `encoded` become those of the sides that are believed then."""
        doubtful = [
            row
            for row, track in enumerate(tracks)
            if is_doubtful(track.belief, float(encoded.side_logit[row]))
            and (given or encoded.presence[row] > self._lowest(track) / 2)
        ]
        mirrored = [crops[row].for_other_side() for row in doubtful]
        other = self._network.encode(mirrored) if mirrored else None
        for row, track in enumerate(tracks):
            opposite, presence, before = None, encoded.presence[row], track.side
            if other is not None and row in doubtful:
                k = doubtful.index(row)
                opposite, presence = float(other.side_logit[k]), max(presence, other.presence[k])
            if given or presence >= self._lowest(track):
                evidence = evidence_of(track.belief, float(encoded.side_logit[row]), opposite)
                track.belief.seen(evidence, track.unseen_s or FRAME_S)
            if other is not None and track.side != before:
                k = doubtful.index(row)
                crops[row] = mirrored[k]
                encoded.put([row], other, [k])

    def _lowest(self, track: Track) -> float:
        return self._config.keep_presence if track.seen and not track.refound else self._config.presence

    def _holds(self, track: Track, probability: float) -> bool:
        return track.grasp.holds(probability) if self._config.tracking else probability >= 0.5


def _wanted_region(track: Track, spec: CropSpec, encoded: Encoded, row: int) -> Region | None:
    """The region that the places of the joints in a crop call for; None where the network does not tell them."""
    if encoded.places is None or not np.isfinite(encoded.places[row]).all():
        return None
    places = spec.to_image(from_box(encoded.places[row], whole_crop(spec.size)))
    if track.given_px is not None:
        places = fit_to_box(places, track.given_px)
    return near_to(upright_region(places, track.region.turn_rad), track.region)
