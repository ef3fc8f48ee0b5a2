"""What several frames add to the pose that one tells (`unihope-s-time`): H2ONet's fusion on UniHOPE's answers.

A finger's token is what stage `hand` says of it in one frame: how it is bent, how surely, the image's code. Frames
weigh in by what both tokens say (H2ONet, section 3.3, weighs them by visibility alone), and all that goes into the
answer are differences of frames: frames that agree change nothing, whatever was learnt. The stage is of its own, so
that what it needs of a frame can be kept.

What is learnt is how much each frame counts, and nothing else: a further answer of its own, which weights had before,
learns films by heart (training/RUNS.md).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prehend.conventions import JOINTS_FROM_MANO, NUM_BETAS, NUM_JOINTS, NUM_MANO_JOINTS
from prehend.models.hand_object.unihope_lite import UniHOPELite, UniHOPELiteConfig
from prehend.models.heads.mano import first_columns, rotations_from_6d
from prehend.models.stage import Stage

_FINGERS, _BONES, _SIX = 5, 3, 6
PARTS = _FINGERS + 1
"""Thumb, index, middle, ring, little finger, and the wrist with the palm."""

_BENT = tuple(JOINTS_FROM_MANO[4 * finger + 1 + bone] for finger in range(_FINGERS) for bone in range(_BONES))
"""Joint of MANO's of each bone of each finger, thumb first."""

_SEEN = (*(4 * finger + joint for finger in range(_FINGERS) for joint in range(1, 5)), 0, 5, 9, 17)
"""Joints whose visibility belongs to each part, four each."""

_SURENESS, _AGE = (1.0, 1.0, 1.0, 1.0, 1.0, 8.0), 2.0
"""Where the frames' weights start, before anything is learnt: a frame's log weight falls by `_AGE` for each stride
before the current one, and rises by so much, of each part, as its keypoints' log standard deviation is smaller. Chosen
on the answers of the shipped weights for rendered sequences (training/RUNS.md)."""

_UNKNOWN = -1e4
"""Log weight of a frame that is not there."""


@dataclass(frozen=True)
class UniHOPETimeConfig(UniHOPELiteConfig):
    """The numbers of one network; what is not explained is as in `UniHOPELiteConfig`.

    Attributes:
        frames: of a window, the current one included.
        told: numbers that a token takes from the code.
        token: length of a token.
        changes: the pose also moves by what tokens differ in, as of weights from before.
    """

    frames: int = 5
    told: int = 48
    token: int = 96
    changes: bool = False


LITE_TIME = UniHOPETimeConfig()


class FusedPose(NamedTuple):
    """Outputs of stage `fuse_frames`: rotations (B, 16, 3, 3) and betas (B, 10) in place of those of stage `hand`."""

    rotations: Tensor
    betas: Tensor


class TimeFusion(nn.Module):
    """From what stage `hand` says of a hand in several frames to its pose in the first of them.

    Args:
        code: length of the code.
        told, token, frames, changes: see `UniHOPETimeConfig`.
        dropout: shares of the code, and of what pairs of tokens say, that are left out in training.
    """

    def __init__(
        self,
        code: int,
        told: int,
        token: int,
        frames: int,
        changes: bool = False,
        dropout: tuple[float, float] = (0.3, 0.2),
    ):
        super().__init__()
        self.forget, self.drop = (nn.Dropout(share) for share in dropout)
        self.told = nn.Linear(code, told)
        own = _BONES * _SIX + 8 + _SIX + PARTS
        self.token = nn.Sequential(nn.Linear(own + told, token), nn.ReLU(), nn.Linear(token, token))
        self.pair = nn.Sequential(nn.Linear(2 * token + frames - 1, token), nn.ReLU())
        self.share = nn.Linear(token, 2)
        self.sureness = nn.Parameter(torch.tensor(_SURENESS))
        self.age = nn.Parameter(_AGE * torch.arange(1.0, frames))
        nn.init.zeros_(self.share.weight)
        nn.init.zeros_(self.share.bias)
        self.gates: nn.Linear | None = None
        if changes:
            self.gates, self.change = nn.Linear(token, token), nn.Linear(token, _BONES * _SIX, bias=False)
            nn.init.zeros_(self.change.weight)
        self.register_buffer("parts", torch.eye(PARTS), persistent=False)
        self.register_buffer("ages", torch.eye(frames - 1), persistent=False)
        bent, seen = torch.tensor(_BENT), torch.tensor(_SEEN)
        self.register_buffer("bent", bent, persistent=False)
        self.register_buffer("seen", seen, persistent=False)
        self.register_buffer("unbent", torch.argsort(bent), persistent=False)

    parts: Tensor
    ages: Tensor
    bent: Tensor
    seen: Tensor
    unbent: Tensor

    def forward(
        self,
        rotations: Tensor,
        betas: Tensor,
        visibility_logit: Tensor,
        log_std: Tensor,
        code: Tensor,
        turn: Tensor,
        known: Tensor,
    ) -> FusedPose:
        """(B, F, ...) of F frames, the current one first; see `UniHOPETime.fuse`."""
        frames = rotations.shape[1]
        wrist = turn @ rotations[:, :, 0]
        own = self._own(torch.cat([wrist[:, :, None], rotations[:, :, 1:]], 2))
        tokens = self._tokens(own, wrist, visibility_logit, log_std, code)
        ages = self.ages[:, None] + torch.zeros_like(tokens[:, 1:, :, : frames - 1])  # any batch, once exported
        now = tokens[:, :1].expand(-1, frames - 1, -1, -1)
        pair = self.drop(self.pair(torch.cat([tokens[:, 1:], now, ages], 3)))
        there = (known[:, 1:] > 0.5).to(own.dtype)[:, :, None, None]
        scores = self.share(pair) + F.pad(self._prior(log_std), (0, 1)) + (1 - there) * _UNKNOWN
        shares = torch.softmax(F.pad(scores, (0, 0, 0, 0, 1, 0)), 1)
        # sums of differences, and not of the values: equal frames leave the current one as it is, to the bit
        sixd = own[:, 0] + ((own - own[:, :1]) * shares[..., :1]).sum(1)
        if self.gates is not None:
            moved = (torch.sigmoid(self.gates(pair)) * (tokens[:, 1:] - now) * there).sum(1)
            sixd = sixd + self.change(moved)
        shape = betas[:, 0] + ((betas - betas[:, :1]) * shares[:, :, -1, 1:]).sum(1)
        return FusedPose(self._rotations(sixd), shape)

    def _prior(self, log_std: Tensor) -> Tensor:
        """(B, F, 21) -> (B, F - 1, 6, 1) log weights of the older frames against the current one, by age and by how
        sure the keypoints are: of a finger's joints, of all joints for the wrist."""
        fingers = log_std.index_select(2, self.seen)[..., : 4 * _FINGERS].unflatten(2, (_FINGERS, 4)).mean(3)
        parts = torch.cat([fingers, log_std.mean(2, keepdim=True)], 2)
        return (self.sureness * (parts[:, :1] - parts[:, 1:]) - self.age[:, None])[..., None]

    def _own(self, rotations: Tensor) -> Tensor:
        """(B, F, 16, 3, 3) -> (B, F, 6, 18) columns of each part's rotations; the wrist's with zeros behind."""
        six = first_columns(rotations)
        fingers = six.index_select(2, self.bent).unflatten(2, (_FINGERS, _BONES)).flatten(3)
        wrist = F.pad(six[:, :, :1], (0, (_BONES - 1) * _SIX))
        return torch.cat([fingers, wrist], 2)

    def _tokens(self, own: Tensor, wrist: Tensor, visibility_logit: Tensor, log_std: Tensor, code: Tensor) -> Tensor:
        """(B, F, 6, T)."""
        said = torch.stack([visibility_logit / 4, log_std], -1).index_select(2, self.seen)
        said = said.unflatten(2, (PARTS, 4)).flatten(3)
        whole = torch.cat([self.told(self.forget(code)), first_columns(wrist)], 2)
        whole = whole[:, :, None].expand(-1, -1, PARTS, -1)
        which = self.parts + torch.zeros_like(own[..., :PARTS])
        return self.token(torch.cat([own, said, whole, which], 3))

    def _rotations(self, sixd: Tensor) -> Tensor:
        """(B, 6, 18) -> (B, 16, 3, 3)."""
        fingers = sixd[:, :_FINGERS].unflatten(2, (_BONES, _SIX)).flatten(1, 2).index_select(1, self.unbent)
        return rotations_from_6d(torch.cat([sixd[:, _FINGERS:, :_SIX], fingers], 1))


class UniHOPETime(UniHOPELite):
    """`UniHOPELite` with a fourth stage, `fuse_frames`; the other three are as they were.

    Args:
        config: its numbers.
    """

    config: UniHOPETimeConfig

    def __init__(self, config: UniHOPETimeConfig):
        super().__init__(config)
        self.time = TimeFusion(config.code, config.told, config.token, config.frames, config.changes)

    def stages(self) -> dict[str, Stage]:
        """The stages and the shapes of their arrays."""
        c = self.config
        window = {
            "rotations": (NUM_MANO_JOINTS, 3, 3),
            "betas": (NUM_BETAS,),
            "visibility_logit": (NUM_JOINTS,),
            "keypoint_log_std": (NUM_JOINTS,),
            "code": (c.code,),
            "turn": (3, 3),
            "known": (),
        }
        return super().stages() | {
            "fuse_frames": Stage(
                "fuse",
                {f"window_{name}": ("B", c.frames, *shape) for name, shape in window.items()},
                {"rotations": ("B", NUM_MANO_JOINTS, 3, 3), "betas": ("B", NUM_BETAS)},
            )
        }

    def fuse(
        self,
        window_rotations: Tensor,
        window_betas: Tensor,
        window_visibility_logit: Tensor,
        window_keypoint_log_std: Tensor,
        window_code: Tensor,
        window_turn: Tensor,
        window_known: Tensor,
    ) -> FusedPose:
        """Stage `fuse_frames`: pose and shape in the current frame.

        Args:
            window_rotations, window_betas, window_visibility_logit, window_keypoint_log_std, window_code: (B, F, ...)
                outputs of stage `hand` of the current frame, and of those one and more strides before it.
            window_turn: (B, F, 3, 3) from each frame's crop frame to the current one's.
            window_known: (B, F) 1 for frames that are there; the current one always is.
        """
        return self.time(
            window_rotations,
            window_betas,
            window_visibility_logit,
            window_keypoint_log_std,
            window_code,
            window_turn,
            window_known,
        )


def build_unihope_time(config: UniHOPETimeConfig) -> UniHOPETime:
    """The network of a configuration, with fresh weights."""
    return UniHOPETime(config)
