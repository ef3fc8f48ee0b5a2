"""What is remembered of one hand's looks: steady pose, grasp state, what it holds, depth at the border."""

from collections.abc import Callable
from dataclasses import replace

from prehend.pipeline.crops.border import BorderDepth
from prehend.pipeline.frames.memory import FrameMemory
from prehend.pipeline.networks.decode import DecodedHand
from prehend.pipeline.observing.observe import Observation
from prehend.pipeline.options import EstimatorOptions
from prehend.pipeline.smoothing.grasp import GraspFilter, instant_grasp
from prehend.pipeline.smoothing.held import HeldSmoother, wrist_pose
from prehend.pipeline.smoothing.smooth import HandSmoother
from prehend.types import Box, FloatArray, HandEstimate, ObjectEstimate


class HandFilters:
    """The filters of one hand.

    Attributes:
        depth: its depth, for while the border cuts it.
        memory: what its last second told, of networks that draw on it.
    """

    def __init__(self, options: EstimatorOptions):
        self._options = options
        self._smoother, self._held = HandSmoother(options.smooth_at_once), HeldSmoother(options.smooth)
        self._grasp = GraspFilter(options.grasp)
        self.depth, self.memory = BorderDepth(), FrameMemory(options.memory)

    @property
    def holds(self) -> Callable[[float], bool]:
        """Whether a probability of a grasp is enough to look for an object."""
        return self._grasp.holds

    @property
    def evidence(self) -> FloatArray | None:
        """Log-odds of what it may hold, over the frames since it was taken; None before the first."""
        return self._held.candidates

    def use(self, options: EstimatorOptions) -> None:
        """Go on with other options; what may be held is asked anew where that changed."""
        if options.object_id != self._options.object_id:
            self._held.reset()
        self._options = options
        self._smoother.use(options.smooth_at_once)
        self._held.use(options.smooth)

    def start_frame(self, elapsed_s: float) -> None:
        """Time goes on, whether the hand is seen or not [s]."""
        self._smoother.start_frame(elapsed_s)
        self._held.start_frame(elapsed_s)

    def forget_motion(self) -> None:
        """What was smoothed is another hand's."""
        self._smoother.reset()
        self._held.reset()
        self.memory.clear()

    def forget_all(self) -> None:
        """It is another hand from now on: neither grasp nor depth are its own."""
        self._grasp, self.depth = GraspFilter(self._options.grasp), BorderDepth()

    def estimate(self, seen: Observation, track_id: int, stamp: float | None) -> HandEstimate:
        """The record of a hand that was seen in this frame.

        Args:
            seen: in this frame.
            track_id: its number.
            stamp: of the frame [s].
        """
        self.depth = seen.target.depth
        if seen.remembered is not None:
            self.memory.add(seen.remembered)
        shown = seen.hand if seen.hand_model is None else self._smoother.smooth(seen.hand, seen.hand_model)
        if self._options.tracking:
            grasp = self._grasp.update(seen.grasp, stamp, seen.target.unseen_s)
        else:
            grasp = instant_grasp(seen.grasp, stamp)
        held = self._shown_object(seen, shown)
        if grasp.state == "not_grasping":
            self._held.reset()
        return HandEstimate(
            track_id=track_id,
            side=seen.target.side,
            score=seen.score,
            side_score=seen.side_score,
            box_px=Box.around(shown.keypoints_px),
            keypoints_px=shown.keypoints_px,
            joints_m=shown.joints_m,
            vertices_m=shown.vertices_m,
            rotations=shown.rotations,
            betas=shown.betas,
            visible=shown.visible,
            grasp=grasp,
            held_object=None if grasp.state == "not_grasping" else held,
            fit_error_px=shown.fit_error_px,
            position_std_m=shown.position_std_m,
            keypoint_std_px=shown.keypoint_std_px,
            joint_std_m=shown.joint_std_m,
            measured=shown.joint_std_m is not None,
        )

    def _shown_object(self, seen: Observation, shown: DecodedHand) -> ObjectEstimate | None:
        """What the hand holds; its pose is smoothed with the hand."""
        if seen.matches:
            self._held.add_evidence(seen.matches)
        held, model = seen.held, seen.object_model
        if held is None or model is None or held.T_camera_object is None:
            return held
        before, after = (wrist_pose(hand.rotations, hand.joints_m) for hand in (seen.hand, shown))
        return replace(held, T_camera_object=self._held.smooth(held.T_camera_object, before, after, model))
