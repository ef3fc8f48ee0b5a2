"""Sampling hands: DDIM from noise to meshes, with what is known told to the network and pulled at in every step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prehend.conventions import MIRROR, NUM_JOINTS, Side
from prehend.errors import AssetError, InvalidInput, WeightsMismatch, one_line
from prehend.geometry.camera import project
from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.model import HandModel
from prehend.models.meshes.hhmr import HHMR, TIMES, Known, normalised_places
from prehend.models.registry import create_from_manifest
from prehend.prior import DEFAULT_PRIOR
from prehend.prior.bones import BoneLooseness, Bones, Placement
from prehend.prior.conditions import Conditions
from prehend.prior.pulls import Pulls
from prehend.prior.schedule import schedule
from prehend.types import FloatArray
from prehend.weights import Bundle, load_bundle

MOST_HYPOTHESES = 256


class Sampling(NamedTuple):
    """How hands are drawn.

    Attributes:
        steps: of DDIM; the paper takes 10, 25 or 50.
        seed: of the noise: the same seed gives the same hands.
        guidance: how much a pull counts, from the first step to the last, evenly along them; empty for none.
        last: pulls after the last step, each on what the one before left.
        tells: the network is told what is known, and does not only feel its pulls.
    """

    steps: int = 25
    seed: int = 0
    guidance: tuple[float, ...] = (0.02, 0.2, 1.0)
    last: int = 6
    tells: bool = True


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Hands that may be meant.

    Attributes:
        side: of all of them.
        vertices_m: (n, V, 3) in the frame of what is known; without anything in the hand's own, the wrist at 0 [m].
        joints_m: (n, 21, 3) likewise.
        faces: (F, 3) of the mesh, counter-clockwise from outside.
        error_px, error_m: (n,) root mean square of what is left of known joints in the image, and of known joints and
            vertices in space; NaN where none are known.
    """

    side: Side
    vertices_m: FloatArray
    joints_m: FloatArray
    faces: NDArray[np.int32]
    error_px: FloatArray
    error_m: FloatArray

    def order(self) -> NDArray[np.int64]:
        """(n,) hypotheses by what is left of the known joints, the best first."""
        left = np.nan_to_num(self.error_m) * 1000 + np.nan_to_num(self.error_px)
        return np.argsort(left, kind="stable")


class HandPrior:
    """A diffusion on hand meshes that can be asked.

    Args:
        network: trained, with its hand, in evaluation mode.
        model: the right hand of the network.
        name: of the weights, for errors.

    Raises:
        MissingDependency: there is no `diffusers`.
    """

    def __init__(self, network: HHMR, model: HandModel, name: str = "fresh"):
        self.model, self.name = model, name
        self._network, self._bones = network, Bones(model)
        schedule()

    @classmethod
    def of_weights(cls, weights: str | Path = DEFAULT_PRIOR, model: HandModel | None = None) -> "HandPrior":
        """The prior of weights.

        Args:
            weights: name or folder of weights of an HHMR.
            model: the right hand that they were trained with; None for the shipped one.

        Raises:
            UnknownName: there are no such weights.
            AssetError: they cannot be read, or are of another network.
            WeightsMismatch: they are of another hand model.
            MissingDependency: there is no `diffusers`.
        """
        bundle = load_bundle(weights)
        hand = load_hand_model() if model is None else model
        return cls(_network_of(bundle, hand), hand, bundle.name)

    @property
    def crop_size(self) -> int | None:
        """Side of the crop that the weights look at [px], None for weights that look at no image."""
        return self._network.config.size if self._network.patches else None

    def joints(self, vertices_m: FloatArray) -> FloatArray:
        """(n, V, 3) meshes -> (n, 21, 3) joints [m]."""
        return np.asarray(self._bones.regressor.numpy() @ vertices_m, np.float64)

    def sample(
        self,
        count: int,
        known: Conditions | None = None,
        sampling: Sampling | None = None,
        image: FloatArray | None = None,
        on_step: Callable[[int], Any] | None = None,
    ) -> Hypotheses:
        """Draw hands.

        Args:
            count: n, how many.
            known: what is known of the hand; None draws any.
            sampling: how.
            image: (3, S, S) RGB in [0, 1], a crop of the hand as crop networks see it, mirrored for a left one; only
                for weights that look at images.
            on_step: is told the number of every step that is done.

        Raises:
            InvalidInput: `count` or the steps are out of range, the network looks at no images, or what is known
                belongs to another hand model.
        """
        chosen = sampling or Sampling()
        _check_numbers(count, chosen)
        conditions = Conditions() if known is None else known
        conditions.check_joints_of_mesh(self._bones.regressor.numpy())
        pulls = Pulls(conditions.as_right(), self._bones)
        with torch.no_grad():
            mesh, place = self._denoised(count, pulls, chosen, self._patches(count, image), on_step)
            vertices = place.apply(mesh)
        return self._answer(conditions, vertices)

    def _denoised(
        self, count: int, pulls: Pulls, chosen: Sampling, patches: Tensor | None, on_step: Callable[[int], Any] | None
    ) -> tuple[Tensor, Placement]:
        """(count, V, 3) meshes in the hand's frame, and where they are."""
        network, config = self._network, self._network.config
        scheduler = schedule(chosen.steps)
        generator = torch.Generator().manual_seed(chosen.seed)
        rows = config.levels[config.top]
        # hand by hand, so that more hands are the same ones and others
        noisy = torch.stack([torch.randn((rows, 3), generator=generator) for _ in range(count)])
        mean = network.mesh.mean.reshape(1, -1, 3)
        mesh = mean.expand(count, -1, -1)
        place = pulls.placed(mesh, _nowhere(count))
        for number, time in enumerate(scheduler.timesteps):
            told = self._told(pulls, place, count, patches) if chosen.tells else self._network.unknown(count)
            moment = torch.full((count, 1), float(time) / TIMES)
            (clean,) = network.denoise(noisy, moment, *(part for part in told if part is not None))
            mesh = mean + clean * config.spread_m
            if pulls.known.places:
                place = pulls.placed(mesh, place)
                mesh, place = self._guided(mesh, place, pulls, _strength(chosen, number))
            clean = network.mesh.of_mesh((mesh - mean) / config.spread_m, config.top)
            noisy = scheduler.step(clean, time, noisy).prev_sample
            if on_step is not None:
                on_step(number)
        if pulls.known.places and chosen.guidance:
            for _ in range(chosen.last):
                mesh, place = self._guided(mesh, place, pulls, chosen.guidance[-1])
        return mesh, place

    def _guided(self, mesh: Tensor, place: Placement, pulls: Pulls, strength: float) -> tuple[Tensor, Placement]:
        """A mesh in the hand's frame after one pull, and where it is."""
        if strength <= 0:
            return mesh, place
        there = place.apply(mesh)
        moved, place = self._bones.moved(there, pulls.of(there, strength), place, BoneLooseness())
        mesh = place.undo(moved)
        wrist = self._bones.joints(mesh)[:, 0]
        return mesh - wrist[:, None], Placement(place.R, place.t + (place.R @ wrist[..., None])[..., 0])

    def _told(self, pulls: Pulls, place: Placement, count: int, patches: Tensor | None) -> Known:
        """What the network is told, in the frames of hands that are placed so."""
        known, told = pulls.known, self._network.unknown(count)
        if known.keypoints_px is not None:
            places = torch.from_numpy(np.nan_to_num(known.ideal_keypoints()).astype(np.float32)).expand(count, -1, -1)
            there = _there(known.keypoints_px, count)
            told = told._replace(places=normalised_places(places, there), places_known=there)
        if known.joints_m is not None:
            joints = torch.from_numpy(np.nan_to_num(known.joints_m).astype(np.float32))[None]
            told = told._replace(joints=place.undo(joints), joints_known=_there(known.joints_m, count))
        if known.vertices_m is not None:
            mesh = torch.from_numpy(np.nan_to_num(known.vertices_m).astype(np.float32))[None]
            there = _there(known.vertices_m, 1)[..., None]
            part = self._network.mesh.of_mesh(mesh, 0)
            part_there = self._network.mesh.of_mesh(there, 0)[..., 0].expand(count, -1)
            told = told._replace(part=place.undo(part), part_known=part_there)
        if patches is not None:
            told = told._replace(patches=patches, patches_known=torch.ones_like(patches[..., 0]))
        return told

    def _patches(self, count: int, image: FloatArray | None) -> Tensor | None:
        if image is None:
            return None
        size = self._network.config.size
        if not self._network.patches:
            raise InvalidInput(f"weights '{self.name}' look at no images: give joints, or weights that do")
        if np.shape(image) != (3, size, size) or not np.isfinite(image).all():
            raise InvalidInput(f"the image has shape {np.shape(image)}, expected finite numbers of (3, {size}, {size})")
        with torch.no_grad():
            (patches,) = self._network.look(torch.from_numpy(np.asarray(image, np.float32))[None])
        return patches.expand(count, -1, -1)

    def _answer(self, known: Conditions, vertices: Tensor) -> Hypotheses:
        mirror = np.ones(3) if known.side == "right" else MIRROR.diagonal()
        mesh = vertices.double().numpy() * mirror
        joints = self._bones.joints(vertices).double().numpy() * mirror
        faces = self.model.faces if known.side == "right" else self.model.faces[:, ::-1]
        error_px = np.full(len(mesh), np.nan)
        if known.keypoints_px is not None and known.camera is not None:
            error_px = _left(project(joints, known.camera) - known.keypoints_px)
        off = [joints - known.joints_m] if known.joints_m is not None else []
        off += [mesh - known.vertices_m] if known.vertices_m is not None else []
        error_m = _left(np.concatenate(off, 1)) if off else np.full(len(mesh), np.nan)
        return Hypotheses(known.side, mesh, joints, np.ascontiguousarray(faces), error_px, error_m)


def _left(off: FloatArray) -> FloatArray:
    """(n, N, d) errors, NaN where nothing is known -> (n,) root mean square of their lengths."""
    return np.sqrt(np.nanmean((off**2).sum(2), 1))


def _there(points: FloatArray, count: int) -> Tensor:
    """(N, d) -> (count, N) 1 where a point is known."""
    return torch.from_numpy(np.isfinite(points).all(1).astype(np.float32)).expand(count, -1)


def _nowhere(count: int) -> Placement:
    """The hand's own frame; with a camera, half a metre in front of it with the fingers up."""
    return Placement(torch.eye(3).expand(count, 3, 3), torch.zeros(count, 3))


def _strength(chosen: Sampling, number: int) -> float:
    """How much a pull counts in a step."""
    if not chosen.guidance:
        return 0.0
    along = number / max(chosen.steps - 1, 1) * (len(chosen.guidance) - 1)
    return float(np.interp(along, range(len(chosen.guidance)), chosen.guidance))


def _check_numbers(count: int, chosen: Sampling) -> None:
    if not 1 <= count <= MOST_HYPOTHESES:
        raise InvalidInput(f"{count} hands: draw 1 to {MOST_HYPOTHESES} at once")
    if not 1 <= chosen.steps <= TIMES:
        raise InvalidInput(f"{chosen.steps} steps: take 1 to {TIMES}; 10 to 50 are usual")
    if not 0 <= chosen.seed < 1 << 63 or chosen.last < 0 or any(not 0 <= part < np.inf for part in chosen.guidance):
        raise InvalidInput("a seed, a weight of guidance or a number of pulls is below 0, too large or not finite")


def _network_of(bundle: Bundle, model: HandModel) -> HHMR:
    """The network of weights, for a hand model."""
    hand = bundle.manifest.get("hand_model", {})
    network = create_from_manifest(bundle.manifest)
    if not isinstance(network, HHMR):
        raise AssetError(f"weights '{bundle.name}' are of '{bundle.network}', which is no prior: take hhmr weights")
    if model.num_vertices != network.config.levels[-1] or hand.get("sha256", model.sha256) != model.sha256:
        raise WeightsMismatch(
            f"weights '{bundle.name}' are of the hand model '{hand.get('name', '?')}' with {network.config.levels[-1]} "
            f"vertices, and not of '{model.name}' with {model.num_vertices}: train weights of your own for it"
        )
    numbers = {name: torch.from_numpy(array) for name, array in bundle.load_arrays().items()}
    try:
        network.load_state_dict(numbers)
    except RuntimeError as error:
        raise WeightsMismatch(f"weights '{bundle.name}': {one_line(error)}") from error
    return network.eval()


def joint_covariances(joints_m: FloatArray) -> FloatArray:
    """How unsure each joint is, from hypotheses of one hand.

    Args:
        joints_m: (n, 21, 3), n of at least 2 [m].

    Returns:
        (21, 3, 3) covariances about their mean [m2].

    Raises:
        InvalidInput: fewer than two, or not finite.
    """
    joints = np.asarray(joints_m, np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (NUM_JOINTS, 3) or len(joints) < 2 or not np.isfinite(joints).all():
        raise InvalidInput(f"hypotheses of shape {joints.shape}: give at least two finite ones of ({NUM_JOINTS}, 3)")
    off = joints - joints.mean(0)
    return np.einsum("njk,njl->jkl", off, off) / (len(joints) - 1)
