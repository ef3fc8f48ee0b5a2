"""Where to look for hands in a frame, and that there is none: what the tracker hands out and gets back."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from prehend.conventions import Side
from prehend.pipeline.crops.border import BorderDepth
from prehend.pipeline.crops.crop import CropSpec
from prehend.pipeline.crops.uncut import AnyCrop, CropSource
from prehend.pipeline.frames.handedness import HandednessBelief
from prehend.pipeline.frames.memory import FrameMemory
from prehend.types import Box, FloatArray, Region

Image = NDArray[Any]
"""(H, W, 3) uint8 RGB, which is checked; typed as OpenCV types its images."""


class Target(NamedTuple):
    """One hand to look for in this frame: a copy of what is known of its track. What a frame adds to it goes into a
    further copy (`_replace`), which the tracker takes over in `finish`.

    Attributes:
        track_id: number of its track.
        region: where to cut.
        belief: which hand it is.
        object_box_px: of what it holds, None where unknown.
        given_px: its box by a user's word, None for none, or for one that the image's border may have cut.
        unseen_s: time since it was seen [s].
        followed: it was seen before, and was not out of sight just now: less score will do.
        shown: the side with which it was last seen, None before.
        refound: it was out of sight and somebody found it again in this frame.
        holds: whether a probability of a grasp is enough to look for an object in this frame.
        evidence: (K,) log-odds of what it may hold, over the frames before; None before the first.
        depth: its depth, for while the border cuts it.
        memory: what its last second told; to look at, not to write into.
        stamp_s: of this frame, on the clock of the memory [s].
        doubted: it was never seen and the detector is unsure of it: the network has to be sure.
        undirected: nobody knows in which direction it points in the image: it was never seen, and whoever found it did
            not say. False of networks that take hands as they lie.
        found: the detector's score of one that was never seen; None of others, and of a user's.
    """

    track_id: int
    region: Region
    belief: HandednessBelief
    object_box_px: Box | None
    given_px: Box | None
    unseen_s: float
    followed: bool
    shown: Side | None
    refound: bool
    holds: Callable[[float], bool]
    evidence: FloatArray | None
    depth: BorderDepth
    memory: FrameMemory
    stamp_s: float = 0.0
    doubted: bool = False
    undirected: bool = False
    found: float | None = None

    @property
    def side(self) -> Side:
        """Left or right, as it is believed now."""
        return self.belief.side

    @property
    def changed_side(self) -> bool:
        """Whether it is of another side than when it was last seen: then it has no past."""
        return self.shown not in (None, self.side)

    @property
    def past(self) -> FrameMemory:
        """What its last second told, if that was of this hand."""
        return FrameMemory(self.memory.options) if self.changed_side else self.memory


class NoHand(NamedTuple):
    """There is no hand, and why.

    Attributes:
        reason: "no_hand": the crop shows none; "left_image"; "bad_fit": joints and keypoints disagree; "no_position":
            no sound place in metres; "not_finite", "bad_rotation": the network's numbers are none.
        target: where it was looked for.
        answered: the network took it for a hand; what it said of it is not to be believed.
    """

    reason: str
    target: Target | None = None
    answered: bool = False


def cut_target(picture: CropSource, target: Target, size: int) -> AnyCrop | None:
    """The crop of a target: at its region, for its side, with a side of `size` [px]; None where that is outside."""
    if inside_share(target.region.box, picture.size) <= 0:
        return None
    return picture.cut(CropSpec.from_region(target.region, target.side, picture.size, target.object_box_px, size))


def cut_targets(picture: CropSource, targets: Sequence[Target], size: int) -> list[tuple[Target, AnyCrop | None]]:
    """Each target with its crop, see `cut_target`."""
    return [(target, cut_target(picture, target, size)) for target in targets]


def inside_share(box: Box, image_size: tuple[int, int]) -> float:
    """Share of the pixels of a box that lie in the image of this width and height."""
    width, height = image_size
    x = min(box.x1 + 0.5, width - 0.5) - max(box.x0 - 0.5, -0.5)
    y = min(box.y1 + 0.5, height - 0.5) - max(box.y0 - 0.5, -0.5)
    return max(x, 0.0) * max(y, 0.0) / ((box.width + 1) * (box.height + 1))
