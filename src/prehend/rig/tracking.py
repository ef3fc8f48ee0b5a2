"""Hands of a rig over time: their numbers, sides, shapes, grasps and events; smoothing comes after the fusion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from prehend.conventions import Side
from prehend.hand_model.model import HandModel
from prehend.pipeline.frames.times import FRAME_S
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing.grasp import GraspFilter, instant_grasp
from prehend.pipeline.smoothing.held import wrist_pose
from prehend.pipeline.smoothing.smooth import HandSmoother
from prehend.pipeline.tracking.events import EventTeller
from prehend.pipeline.tracking.identities import Identities
from prehend.rig.views.fusion import SHAPE_STD, KnownShape, fuse_group, grouped, in_pixels, voted_side
from prehend.rig.views.records import FusedHand, RigResult, View
from prehend.rig.views.sights import Sight, sights_of
from prehend.types import FrameResult, HandEstimate

REACH_M, REACH_M_S = 0.12, 1.0
"""A hand that no camera knows from before is one of the rig's if it is so near to where that was; and further for each
second since [m], [m/s]."""

LEAST_SHAPE_STD = 0.2
"""What is learnt of a hand's shape is never taken to be better than this, in standard deviations of hands."""

LEARNT_SETS = 30
"""Sets of images that its shape is averaged over."""

SIDE_SETS = 8.0
"""Sure votes for a side that are remembered, at the most."""


@dataclass
class _Track:
    """One hand of the rig.

    Attributes:
        track_id: its number.
        smoother, grasp: its filters.
        side: left or right.
        hand: as it was last seen.
        side_votes: for a right hand, against a left one.
        betas, learnt: its shape, over so many sets with more than one view.
        unseen_s: since it was last seen.
    """

    track_id: int
    smoother: HandSmoother
    grasp: GraspFilter
    side: Side
    hand: HandEstimate | None = None
    side_votes: float = 0.0
    betas: np.ndarray = field(default_factory=lambda: np.zeros(10))
    learnt: int = 0
    unseen_s: float = 0.0

    @property
    def shape(self) -> KnownShape | None:
        """What was learnt; None before two views saw it at once."""
        if not self.learnt:
            return None
        return KnownShape(self.betas, max(SHAPE_STD / np.sqrt(1 + self.learnt), LEAST_SHAPE_STD))

    def learn(self, fused: FusedHand) -> None:
        """Take in the shape that two views agree on: one alone cannot tell a large hand from a near one."""
        if len(fused.cameras) > 1:
            self.learnt = min(self.learnt + 1, LEARNT_SETS)
            self.betas = self.betas + (fused.hand.betas - self.betas) / self.learnt

    def vote(self, side: Side) -> None:
        """Take in a set's side; another one takes over when it has the majority."""
        self.side_votes = float(np.clip(self.side_votes + (1 if side == "right" else -1), -SIDE_SETS, SIDE_SETS))
        believed: Side = self.side if self.side_votes == 0 else "right" if self.side_votes > 0 else "left"
        if believed != self.side:
            self.side = believed
            self.smoother.reset()


class RigTracker:
    """Follows the hands of a rig; `step` takes one set of views after the other.

    Args:
        options: how hands are smoothed, kept and told of.
        hand_models: by side, without forearm.
    """

    def __init__(self, options: EstimatorOptions, hand_models: Mapping[Side, HandModel]):
        self._options, self._models = options, hand_models
        self._identities, self._events = Identities(options), EventTeller(options.grasp.lasting_s)
        self._next_id = 1
        self.reset()

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options."""
        self._options = options
        self._identities.use(options)
        for track in self._tracks:
            track.smoother.use(options.smooth)

    def reset(self) -> None:
        """Forget all hands; their numbers are not used again."""
        self._tracks: list[_Track] = []
        self._known: dict[tuple[str, int], int] = {}
        self._stamp: float | None = None
        self._identities.reset()
        self._events.reset()

    def step(
        self,
        views: Sequence[View],
        stamp: float | None,
        timing_ms: Mapping[str, float] | None = None,
        found: bool = True,
    ) -> RigResult:
        """The fused hands of one set of views.

        Args:
            views: those that there are; pixels are those of the first one.
            stamp: of the set [s]; None for the next of a video at 30 Hz.
            timing_ms, found: of the views' estimates, for the result.

        Returns:
            The result; empty of hands where no view has any.
        """
        lead = views[0]
        elapsed = FRAME_S if stamp is None or self._stamp is None else stamp - self._stamp
        if not -1e-9 <= elapsed <= self._options.max_gap_s or not self._options.tracking:
            self.reset()
            elapsed = FRAME_S
        self._stamp = stamp
        for track in self._tracks:
            track.unseen_s += max(elapsed, 0.0)
            track.smoother.start_frame(max(elapsed, 0.0))
        groups = grouped(sights_of(views), self._known)
        fused = [
            self._fuse(track, group, out, lead, stamp)
            for track, (group, out) in zip(self._matched(groups), groups, strict=True)
        ]
        fused.sort(key=lambda one: one.hand.track_id)
        known = {(view.camera, view.track_id): one.hand.track_id for one in fused for view in one.views}
        self._known = {key: number for key, number in self._known.items() if key not in known} | known
        self._tracks = [track for track in self._tracks if track.unseen_s <= self._options.keep_lost_s]
        kept = {track.track_id for track in self._tracks}
        self._known = {key: number for key, number in self._known.items() if number in kept}
        return self._told(fused, views, lead, stamp, dict(timing_ms or {}), found)

    def _told(
        self,
        fused: list[FusedHand],
        views: Sequence[View],
        lead: View,
        stamp: float | None,
        timing_ms: dict[str, float],
        found: bool,
    ) -> RigResult:
        hands = self._identities.step([one.hand for one in fused], self._tracks, stamp)
        size = (lead.camera.width, lead.camera.height)
        events = self._events.step(hands, size, stamp) if self._options.tracking else ()
        by_id = {hand.track_id: hand for hand in hands}
        fused = [replace(one, hand=by_id[one.hand.track_id]) for one in fused]
        camera = replace(lead.camera, estimated=any(view.camera.estimated for view in views))
        result = FrameResult(camera, hands, stamp, timing_ms, found, events, self._identities.lost)
        return RigResult(result, tuple(fused), {view.name: view for view in views}, lead.name)

    def _matched(self, groups: Sequence[tuple[list[Sight], list[Sight]]]) -> list[_Track]:
        """The track of each group: the one that its views were of before, or the one that is near, or a new one."""
        options = []
        for g, (group, _) in enumerate(groups):
            place = np.mean([sight.joints_m.mean(0) for sight in group], axis=0)
            for t, track in enumerate(self._tracks):
                votes = sum(sight.trust for sight in group if self._known.get(sight.key) == track.track_id)
                apart = np.inf if track.hand is None else float(np.linalg.norm(track.hand.joints_m.mean(0) - place))
                near = apart < REACH_M + REACH_M_S * track.unseen_s and track.side == voted_side(group)
                if votes > 0 or near:
                    options.append((-votes, apart, g, t))
        found: dict[int, int] = {}
        for _, _, g, t in sorted(options):
            if g not in found and t not in found.values():
                found[g] = t
        return [self._tracks[found[g]] if g in found else self._begun(groups[g][0]) for g in range(len(groups))]

    def _begun(self, group: Sequence[Sight]) -> _Track:
        track = _Track(
            self._next_id, HandSmoother(self._options.smooth), GraspFilter(self._options.grasp), voted_side(group)
        )
        self._tracks.append(track)
        self._next_id += 1
        return track

    def _fuse(self, track: _Track, group: list[Sight], out: list[Sight], lead: View, stamp: float | None) -> FusedHand:
        """The fused hand of a track in this set, smoothed."""
        track.vote(voted_side(group))
        fused = fuse_group(group, out, self._models, lead, track.track_id, track.shape, track.side)
        track.learn(fused)
        hand = fused.hand
        probability, unseen = hand.grasp.probability, track.unseen_s
        grasp = (
            track.grasp.update(probability, stamp, unseen)
            if self._options.tracking
            else instant_grasp(probability, stamp)
        )
        hand = self._smoothed(track, hand, lead)
        hand = replace(hand, grasp=grasp, held_object=None if grasp.state == "not_grasping" else hand.held_object)
        track.hand, track.unseen_s = hand, 0.0
        return replace(fused, hand=hand)

    def _smoothed(self, track: _Track, hand: HandEstimate, lead: View) -> HandEstimate:
        """The hand after the One-Euro filter, with what it holds moved as its wrist is."""
        if not self._options.smooth.min_cutoff_hz:
            return hand
        raw = DecodedHand(
            np.zeros((21, 2)),  # pixels are made anew from the joints
            hand.joints_m,
            hand.vertices_m,
            hand.rotations,
            hand.betas,
            hand.visible,
            hand.fit_error_px,
            hand.position_std_m,
        )
        smooth = track.smoother.smooth(raw, self._models[track.side])
        held = hand.held_object
        if held is not None and held.T_camera_object is not None:
            before, after = (wrist_pose(one.rotations, one.joints_m) for one in (raw, smooth))
            held = replace(held, T_camera_object=after @ np.linalg.inv(before) @ held.T_camera_object)
        shown = replace(
            hand,
            joints_m=smooth.joints_m,
            vertices_m=smooth.vertices_m,
            rotations=smooth.rotations,
            betas=smooth.betas,
            held_object=held,
        )
        return in_pixels(shown, lead.camera, lead.T_rig_camera)
