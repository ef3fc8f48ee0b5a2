"""A hand of MANO's form as arrays: our own model or a user's, of either side."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from prehend.conventions import MANO_PARENTS, MIRROR, NUM_BETAS, NUM_MANO_JOINTS, SIDES, Side

Float = NDArray[np.float32]
_AXIAL = np.array([1, -1, -1], np.float32)  # an axis of rotation, or axis-angle, seen in the mirror x -> -x


@dataclass(frozen=True, eq=False)
class HandModel:
    """A hand of MANO's form (Romero et al., SIGGRAPH Asia 2017): 16 joints, linear blend skinning.

    All float arrays are float32, in metres, in the frame `hand` of `conventions.py` (mirrored for a left hand).
    Nothing promises that the wrist is at the origin or how many vertices there are.

    Attributes:
        name: what it is, such as "prehend-hand-2".
        side: which hand the arrays are.
        v_template: (V, 3) mean shape in the zero pose (flat hand).
        faces: (F, 3) int32, counter-clockwise from outside.
        weights: (V, 16) skinning weights, rows sum to one.
        shapedirs: (V, 3, 10) change of the shape per unit of beta.
        posedirs: (V, 3, 135) change per element of R - I of joints 1..15 (row-major).
        J_regressor: (16, V) joints from the shaped vertices.
        tips: (5,) vertices that stand for the fingertips, thumb first.
        hands_mean: (45,) mean of the finger joints' axis-angle.
        hands_components: (45, 45) principal directions of poses, one a row, strongest first.
        sha256: of the file.
        flexion_axes, abduction_axes, twist_axes: (15, 3) unit axes of joints 1..15 in the rest frame: positive
            flexion closes, positive abduction moves a finger towards the thumb, twist is about the bone.
        limits_rad: (15, 3, 2) lower and upper limit of flexion, abduction, twist.
        uv: (U, 2) texture coordinates, v up.
        uv_faces: (F, 3) int32 rows of `uv` for the corners of `faces`.
        hand_mask: (V,) bool, False on the forearm.
        forearm_weights: (V,) share of the forearm, for bending it about the wrist when rendering; `weights`
            count it to the wrist.
        nail_weights: (V,) 1 on a nail.
        nail_map: (S, S) uint8 texture, 255 on a nail, row 0 at v = 1.
        The last nine are None for a MANO file.
    """

    name: str
    side: Side
    v_template: Float
    faces: NDArray[np.int32]
    weights: Float
    shapedirs: Float
    posedirs: Float
    J_regressor: Float
    tips: NDArray[np.int64]
    hands_mean: Float
    hands_components: Float
    sha256: str
    flexion_axes: Float | None = None
    abduction_axes: Float | None = None
    twist_axes: Float | None = None
    limits_rad: Float | None = None
    uv: Float | None = None
    uv_faces: NDArray[np.int32] | None = None
    hand_mask: NDArray[np.bool_] | None = None
    forearm_weights: Float | None = None
    nail_weights: Float | None = None
    nail_map: NDArray[np.uint8] | None = None

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.v_template)

    @cached_property
    def joints_template(self) -> Float:
        """(16, 3) joints of the mean shape."""
        return self.J_regressor @ self.v_template

    def grown(self, betas: Float | NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """(10,) betas of the hand of such `betas`, `scale` times as large; as near as the shapes come to it."""
        return np.asarray(scale * np.asarray(betas, np.float64) + (scale - 1) * self._mean_as_shape)

    @cached_property
    def _mean_as_shape(self) -> Float:
        """(10,) betas whose change of the shape is most like the mean hand, about its wrist."""
        directions = (self.shapedirs - self.joints_shapedirs[0]).reshape(-1, NUM_BETAS).astype(np.float64)
        mean = (self.v_template - self.joints_template[0]).ravel()
        return np.asarray(np.linalg.lstsq(directions, mean, rcond=1e-3)[0], np.float32)

    @cached_property
    def turned_by(self) -> Float:
        """(V, 16) shares in which a turn of each joint moves a vertex: its weights there and at all joints beyond."""
        shares = np.array(self.weights)
        for joint in range(NUM_MANO_JOINTS - 1, 0, -1):
            shares[:, MANO_PARENTS[joint]] += shares[:, joint]
        return shares

    @cached_property
    def joints_shapedirs(self) -> Float:
        """(16, 3, 10) change of the joints per unit of beta."""
        return np.einsum("jv,vkb->jkb", self.J_regressor, self.shapedirs)

    @cached_property
    def blend_directions(self) -> Float:
        """(3V, 10 + P) shape directions, then the P pose directions that are not zero (see `active_pose`)."""
        shape = self.shapedirs.reshape(-1, NUM_BETAS)
        pose = self.posedirs.reshape(len(shape), -1)[:, self.active_pose]
        return np.ascontiguousarray(np.concatenate([shape, pose], 1))

    @cached_property
    def of_tips(self) -> tuple[Float, Float, Float]:
        """Template (5, 3), `blend_directions` (15, 10 + P) and weights (5, 16) of the fingertips alone."""
        rows = (3 * self.tips[:, None] + np.arange(3)).ravel()
        return self.v_template[self.tips], self.blend_directions[rows], self.weights[self.tips]

    @cached_property
    def active_pose(self) -> NDArray[np.int64]:
        """(P,) columns of `posedirs` that are not zero."""
        return np.flatnonzero(self.posedirs.any((0, 1)))

    def mirrored(self) -> "HandModel":
        """The other hand: x -> -x, faces turned round; twice gives the same model again."""
        mirror = MIRROR.diagonal().astype(np.float32)
        pose_signs = np.tile(np.outer(mirror, mirror).ravel(), NUM_MANO_JOINTS - 1)
        axial = np.tile(_AXIAL, NUM_MANO_JOINTS - 1)
        return replace(
            self,
            side=SIDES[1 - SIDES.index(self.side)],
            v_template=self.v_template * mirror,
            faces=np.ascontiguousarray(self.faces[:, ::-1]),
            shapedirs=self.shapedirs * mirror[:, None],
            posedirs=self.posedirs * mirror[:, None] * pose_signs,
            hands_mean=self.hands_mean * axial,
            hands_components=self.hands_components * axial,
            flexion_axes=None if self.flexion_axes is None else self.flexion_axes * _AXIAL,
            abduction_axes=None if self.abduction_axes is None else self.abduction_axes * _AXIAL,
            twist_axes=None if self.twist_axes is None else self.twist_axes * _AXIAL,
            uv_faces=None if self.uv_faces is None else np.ascontiguousarray(self.uv_faces[:, ::-1]),
        )

    def without_forearm(self) -> "HandModel":
        """The same hand cut at the wrist; a model without `hand_mask` has no forearm and comes back as it is."""
        if self.hand_mask is None or self.hand_mask.all():
            return self
        keep = np.flatnonzero(self.hand_mask)
        new_row = np.full(self.num_vertices, -1)
        new_row[keep] = np.arange(len(keep))
        whole = self.hand_mask[self.faces].all(1)
        return replace(
            self,
            v_template=self.v_template[keep],
            faces=new_row[self.faces[whole]].astype(np.int32),
            weights=self.weights[keep],
            shapedirs=self.shapedirs[keep],
            posedirs=self.posedirs[keep],
            J_regressor=np.ascontiguousarray(self.J_regressor[:, keep]),
            tips=new_row[self.tips],
            uv_faces=None if self.uv_faces is None else self.uv_faces[whole],
            hand_mask=self.hand_mask[keep],
            forearm_weights=None if self.forearm_weights is None else self.forearm_weights[keep],
            nail_weights=None if self.nail_weights is None else self.nail_weights[keep],
        )
