"""From what is known of a hand to where its mesh should go (the operators A of HHMR, section 4.3)."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.conventions import FINGERS, TIP_JOINTS
from prehend.geometry.camera import plane_from_pixels
from prehend.prior.bones import Bones, Placement, Pull, rigid
from prehend.prior.conditions import Conditions
from prehend.types import FloatArray

MOST_POINTS = 240
"""Of a mesh, of a depth image, of an outline: more do not move sixteen bones better."""
_NEAR_M = 0.03
"""Surfaces farther from each other than this do not touch."""
_REACH_M = 0.02
"""Distance at which a depth point counts half: what lies farther off is of something else."""
_MASK_STD_PX, _TOUCH_STD_M = 3.0, 0.002


@dataclass
class Pulls:
    """The pulls of conditions on meshes of a right hand.

    Attributes:
        known: of a right hand, see `Conditions.as_right`. bones: of its model.
    """

    known: Conditions
    bones: Bones
    _rows: Tensor | None = field(default=None, init=False)
    _inside: tuple[NDArray[np.float32], NDArray[np.float32]] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.known.vertices_m is not None:
            rows = np.flatnonzero(np.isfinite(self.known.vertices_m).all(1))
            step = max(1, len(rows) // MOST_POINTS)
            self._rows = torch.from_numpy(rows[::step].copy())
        if self.known.mask is not None:
            self._inside = _nearest_inside(self.known.mask)

    def placed(self, mesh: Tensor, before: Placement) -> Placement:
        """Where (n, V, 3) meshes in the hand's frame lie best; `before` where nothing tells."""
        source, target, weights = [], [], []
        joints, known = self.bones.joints(mesh), self.known
        if known.joints_m is not None:
            rows = np.flatnonzero(np.isfinite(known.joints_m).all(1))
            source.append(joints[:, rows])
            target.append(known.joints_m[rows])
            weights.append(np.broadcast_to(np.asarray(known.joints_std_m), (21,))[rows] ** -2.0 * _PALM[rows])
        if known.vertices_m is not None and self._rows is not None:
            source.append(mesh[:, self._rows])
            target.append(known.vertices_m[self._rows.numpy()])
            weights.append(np.full(len(self._rows), known.vertices_std_m**-2.0))
        if sum(part.shape[1] for part in source) >= 3:
            points = torch.from_numpy(np.concatenate(target).astype(np.float32))[None]
            return rigid(torch.cat(source, 1), points, torch.from_numpy(np.concatenate(weights).astype(np.float32)))
        return self._placed_by_picture(joints, before) if known.keypoints_px is not None else before

    def _placed_by_picture(self, joints: Tensor, before: Placement) -> Placement:
        """PnP of the joints (Terzakis and Lourakis, ECCV 2020)."""
        assert self.known.camera is not None and self.known.keypoints_px is not None
        rows = np.flatnonzero(np.isfinite(self.known.keypoints_px).all(1))
        plane = plane_from_pixels(self.known.keypoints_px[rows], self.known.camera)
        found = []
        for k, hand in enumerate(joints[:, rows].double().numpy()):
            try:
                done, turn, shift = cv2.solvePnP(hand, plane, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP)
            except cv2.error:  # points that lie on one another
                done, turn, shift = False, np.zeros((3, 1)), np.zeros((3, 1))
            in_front = done and shift[2, 0] > 0
            rows_of = (cv2.Rodrigues(turn)[0], shift[:, 0]) if in_front else (before.R[k].numpy(), before.t[k].numpy())
            found.append(rows_of)
        turns, shifts = (np.stack(part).astype(np.float32) for part in zip(*found, strict=True))
        return Placement(torch.from_numpy(turns), torch.from_numpy(shifts))

    def of(self, mesh: Tensor, strength: float) -> list[Pull]:
        """The pulls on (n, V, 3) meshes in the frame of what is known, with their weights times `strength`."""
        known, found = self.known, []
        if known.joints_m is not None:
            found.append(self._joints(mesh, known.joints_m))
        if known.keypoints_px is not None:
            found.append(self._keypoints(mesh))
        if known.vertices_m is not None and self._rows is not None:
            target = torch.from_numpy(known.vertices_m[self._rows.numpy()].astype(np.float32))
            rows = self._rows.expand(len(mesh), -1)
            found.append(_to_points(mesh, rows, target, known.vertices_std_m**-2 * 21 / len(self._rows)))
        if known.points_m is not None:
            found.append(self._surface(mesh, known.points_m))
        if known.mask is not None:
            found.append(self._outline(mesh))
        if known.object_points_m is not None:
            found += self._object(mesh)
        return [pull._replace(weight=pull.weight * strength) for pull in found]

    def _joints(self, mesh: Tensor, wanted: FloatArray) -> Pull:
        there = np.isfinite(wanted).all(1)
        weight = np.broadcast_to(np.asarray(self.known.joints_std_m, np.float64), (21,)) ** -2.0 * there
        error = self.bones.joints(mesh) - torch.from_numpy(np.nan_to_num(wanted).astype(np.float32))
        return Pull(None, error.double(), _unit(error), torch.from_numpy(weight).expand(len(mesh), -1))

    def _keypoints(self, mesh: Tensor) -> Pull:
        assert self.known.camera is not None and self.known.keypoints_px is not None
        wanted = self.known.ideal_keypoints()
        there = np.isfinite(wanted).all(1)
        weight = np.broadcast_to(np.asarray(self.known.keypoints_std_px, np.float64), (21,)) ** -2.0 * there
        seen, slope = self._seen(self.bones.joints(mesh))
        error = seen - torch.from_numpy(np.nan_to_num(wanted))
        return Pull(None, error, slope, torch.from_numpy(weight).expand(len(mesh), -1))

    def _seen(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(n, m, 2) pixels of points in the camera without distortion, and (n, m, 2, 3) their change by the points."""
        camera = self.known.pinhole()
        focal = torch.tensor([camera.K[0, 0], camera.K[1, 1]], dtype=torch.float64)
        middle = torch.tensor([camera.K[0, 2], camera.K[1, 2]], dtype=torch.float64)
        x, y, z = points.double().unbind(-1)
        z = z.clamp(min=0.02)
        zero = torch.zeros_like(z)
        slope = torch.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], -1).unflatten(-1, (2, 3))
        plane = torch.stack([x / z, y / z], -1)
        return plane * focal + middle, slope * focal[:, None]

    def _surface(self, mesh: Tensor, points: FloatArray) -> Pull:
        """Depth points pull the vertex that is nearest to each."""
        chosen = torch.from_numpy(points[:: max(1, len(points) // MOST_POINTS)].astype(np.float32))
        rows = torch.cdist(chosen.expand(len(mesh), -1, -1), mesh).argmin(2)
        error = mesh.gather(1, rows[..., None].expand(-1, -1, 3)) - chosen
        trust = 1 / (1 + (error.norm(dim=2) / _REACH_M) ** 2) ** 2
        weight = trust.double() * self.known.points_std_m**-2 * 21 / len(chosen)
        return Pull(rows, error.double(), _unit(error), weight)

    def _outline(self, mesh: Tensor) -> Pull:
        """Vertices that are seen beside the mask go to its nearest pixel; pixels of the mask pull what is seen nearest
        to each."""
        assert self._inside is not None and self.known.mask is not None
        nearest, pixels = self._inside
        seen, slope = self._seen(mesh)
        height, width = self.known.mask.shape
        at = seen.round().long()
        x, y = at[..., 0].clamp(0, width - 1), at[..., 1].clamp(0, height - 1)
        inside = torch.from_numpy(nearest)[y, x].double()
        off = seen - inside
        outside = torch.from_numpy(self.known.mask)[y, x].logical_not().double()
        every = torch.arange(mesh.shape[1]).expand(len(mesh), -1)
        wanted = torch.from_numpy(pixels).double()
        rows = torch.cdist(wanted.expand(len(mesh), -1, -1), seen).argmin(2)
        pulled = seen.gather(1, rows[..., None].expand(-1, -1, 2)) - wanted
        pulled_slope = slope.gather(1, rows[..., None, None].expand(-1, -1, 2, 3))
        scale = _MASK_STD_PX**-2 * 21
        weights = outside * scale / mesh.shape[1], torch.full(rows.shape, scale / len(wanted), dtype=torch.float64)
        return Pull(
            torch.cat([every, rows], 1), torch.cat([off, pulled], 1), torch.cat([slope, pulled_slope], 1),
            torch.cat(weights, 1),
        )  # fmt: skip

    def _object(self, mesh: Tensor) -> list[Pull]:
        """What is inside of the object goes out along its normals; tips that touch go to its surface."""
        assert self.known.object_points_m is not None and self.known.object_normals is not None
        surface = torch.from_numpy(self.known.object_points_m.astype(np.float32))
        normals = torch.from_numpy(self.known.object_normals.astype(np.float32))
        rows = torch.arange(0, mesh.shape[1], max(1, mesh.shape[1] // MOST_POINTS)).expand(len(mesh), -1)
        points = mesh.gather(1, rows[..., None].expand(-1, -1, 3))
        far, near = torch.cdist(points, surface.expand(len(mesh), -1, -1)).min(2)
        out = normals[near]
        height = ((points - surface[near]) * out).sum(2)
        inside = ((height < 0) & (far < _NEAR_M)).double() * _TOUCH_STD_M**-2 * 21 / rows.shape[1]
        pulls = [Pull(rows, height[..., None].double(), out[:, :, None].double(), inside)]
        if self.known.contact:
            tips = self.bones.joints(mesh)
            touch = torch.zeros(len(mesh), 21, dtype=torch.float64)
            nearest = torch.cdist(tips, surface.expand(len(mesh), -1, -1)).argmin(2)
            for finger in self.known.contact:
                touch[:, TIP_JOINTS[FINGERS.index(finger)]] = _TOUCH_STD_M**-2
            error = tips - surface[nearest]
            pulls.append(Pull(None, error.double(), _unit(error), touch))
        return pulls


_PALM = np.full(21, 0.1)
_PALM[[0, 5, 9, 13, 17]] = 1.0
"""Trust in joints for where a hand is: those of the palm tell it before the fingers are right."""


def _to_points(mesh: Tensor, rows: Tensor, target: Tensor, weight: float) -> Pull:
    error = mesh.gather(1, rows[..., None].expand(-1, -1, 3)) - target
    return Pull(rows, error.double(), _unit(error), torch.full(rows.shape, weight, dtype=torch.float64))


def _unit(error: Tensor) -> Tensor:
    """(n, m, 3) -> (n, m, 3, 3) errors that go as their points go."""
    return torch.eye(3, dtype=torch.float64).expand(*error.shape, 3)


def _nearest_inside(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(H, W, 2) the pixel x y of a mask that is nearest to each pixel, and up to `MOST_POINTS` (N, 2) of its pixels."""
    outside = np.where(mask, 0, 255).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.nonzero(mask)
    places = np.zeros((int(labels.max()) + 1, 2), np.float32)
    places[labels[rows, columns]] = np.stack([columns, rows], 1)
    step = max(1, len(rows) // MOST_POINTS)
    return places[labels], np.stack([columns, rows], 1)[::step].astype(np.float32)
