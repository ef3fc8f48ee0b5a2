"""Meshes of parts against closed forms, measured by a library that knows nothing of ours."""

import numpy as np
import pytest

from prehend_training.objects.shapes.mesh import LONGEST_EDGE_M, assemble
from prehend_training.objects.shapes.parts_flat import Rack, RoundedBox
from prehend_training.objects.shapes.parts_plate import Extrusion
from prehend_training.objects.shapes.parts_round import Revolve, Torus, Tube

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")

SIDES = 96  # of what is round: polygons come near to circles with the square of their number
POLYGON = SIDES / (2 * np.pi) * np.sin(2 * np.pi / SIDES)  # area of a polygon by that of its circle
RING = {"ring_m": 0.05, "tube_m": 0.012}
HEXAGON = [[0.04 * np.cos(a), 0.04 * np.sin(a)] for a in np.arange(6) * np.pi / 3]
STAR = [
    [r * np.cos(a), r * np.sin(a)] for r, a in zip([0.05, 0.02] * 5, np.arange(10) * np.pi / 5, strict=True)
]  # concave


def rounded_box_m3(size, radius):
    """Steiner's formula: the inner box, its sides and edges thickened, and a ball of all corners together."""
    a, b, c = np.asarray(size) - 2 * radius
    flat = 2 * radius * (a * b + b * c + c * a)
    return a * b * c + flat + np.pi * radius**2 * (a + b + c) + 4 / 3 * np.pi * radius**3


def shoelace(outline):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True)) / 2


CUP_M3 = np.pi * (0.04**2 * 0.09 - 0.036**2 * 0.085) * POLYGON
SOLIDS = {
    "box": (RoundedBox, {"size_m": [0.06, 0.04, 0.1]}, 0.06 * 0.04 * 0.1, [0.06, 0.04, 0.1], 1e-9, 2),
    "rounded box": (
        RoundedBox, {"size_m": [0.06, 0.04, 0.1], "radius_m": 0.01}, rounded_box_m3([0.06, 0.04, 0.1], 0.01),
        [0.06, 0.04, 0.1], 0.02, 2,
    ),
    "rack": (
        Rack, {"size_m": [0.12, 0.06, 0.05], "holes": [3, 2], "hole_radius_m": 0.008, "depth_m": 0.03},
        0.12 * 0.06 * 0.05 - 6 * 0.03 * 8 * 0.008**2 * np.sin(np.pi / 8), [0.12, 0.06, 0.05], 1e-6, 2,
    ),
    "hexagon": (
        Extrusion, {"outline_m": HEXAGON, "height_m": 0.03}, 1.5 * 3**0.5 * 0.04**2 * 0.03,
        [0.08, 0.04 * 3**0.5, 0.03], 1e-9, 2,
    ),
    "star": (
        Extrusion, {"outline_m": STAR, "height_m": 0.01}, shoelace(STAR) * 0.01,
        [np.ptp([x for x, _ in STAR]), np.ptp([y for _, y in STAR]), 0.01], 1e-9, 2,
    ),
    "can": (
        Revolve, {"profile_m": [[0, -0.05], [0.03, -0.05], [0.03, 0.05], [0, 0.05]], "segments": SIDES},
        np.pi * 0.03**2 * 0.1 * POLYGON, [0.06, 0.06, 0.1], 1e-9, 2,
    ),
    "cone": (
        Revolve, {"profile_m": [[0, 0], [0.04, 0], [0, 0.09]], "segments": SIDES},
        np.pi * 0.04**2 * 0.09 / 3 * POLYGON, [0.08, 0.08, 0.09], 1e-9, 2,
    ),
    "cup": (
        Revolve,
        {"profile_m": [[0, 0], [0.04, 0], [0.04, 0.09], [0.036, 0.09], [0.036, 0.005], [0, 0.005]],
         "hollow": True, "segments": SIDES},
        CUP_M3, [0.08, 0.08, 0.09], 1e-9, 2,
    ),
    "capsule": (
        Tube, {"path_m": [[0, 0, -0.05], [0, 0, 0.05]], "radius_m": 0.01, "segments": SIDES},
        np.pi * 0.01**2 * (0.1 + 4 / 3 * 0.01), [0.02, 0.02, 0.12], 0.03, 2,
    ),
    "torus": (
        Torus, RING, 2 * np.pi**2 * 0.05 * 0.012**2, [0.124, 0.124, 0.024], 0.06, 0,
    ),
    "ring of a tube": (
        Tube,
        {"arc": {"center_m": [0, 0, 0], "radii_m": [0.05, 0.05], "from_deg": 0, "to_deg": 360}, "radius_m": 0.012,
         "closed": True, "segments": SIDES, "smooth": 4},
        2 * np.pi**2 * 0.05 * 0.012**2, [0.124, 0.024, 0.124], 0.03, 0,
    ),
}  # fmt: skip
"""Kind, entry, volume, extents, how far the volume may be off, Euler's number (2: no hole goes through)."""


def welded(vertices, faces):
    """The mesh as the library has it, each place once: seams of texture and shading are no seams of the shape."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=8)
    mesh.update_faces(mesh.nondegenerate_faces())
    return mesh


def of_part(part):
    whole = assemble(part.placed())[0]
    return whole, welded(whole.vertices, whole.faces)


@pytest.fixture(params=SOLIDS)
def made(request):
    kind, entry, *truth = SOLIDS[request.param]
    return *of_part(kind.read(entry)), *truth


def test_a_part_is_closed_and_turned_outwards(made):
    _, mesh, _, _, _, euler = made
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume > 0 and mesh.euler_number == euler and mesh.body_count == 1


def test_a_part_has_the_volume_of_its_formula(made):
    _, mesh, volume, _, off, _ = made
    assert mesh.volume == pytest.approx(volume, rel=off)
    assert mesh.volume <= volume * (1 + 1e-6)  # triangles cut what is round


def test_a_part_has_the_extents_of_its_formula(made):
    _, mesh, _, extents, _, _ = made
    assert (mesh.extents <= np.array(extents) + 1e-9).all()
    np.testing.assert_allclose(mesh.extents, extents, rtol=0.04)


def test_shading_agrees_with_the_faces(made):
    whole, *_ = made
    np.testing.assert_allclose(np.linalg.norm(whole.normals, axis=1), 1, atol=1e-9)
    corners = whole.vertices[whole.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    assert ((across[:, None] * whole.normals[whole.faces]).sum(2) > 0.5).all()


def test_texture_coordinates_stay_on_the_label(made):
    whole, *_ = made
    assert whole.uv.min() > -1e-9 and whole.uv.max() < 1 + 1e-9


def test_no_edge_is_longer_than_the_lens_allows(made):
    whole, *_ = made
    corners = whole.vertices[whole.faces]
    assert np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max() <= LONGEST_EDGE_M + 1e-12


@pytest.mark.parametrize("name", SOLIDS)
def test_a_part_that_is_turned_moved_and_scaled_keeps_its_volume(name):
    kind, entry, *_ = SOLIDS[name]
    place = {"turn_deg": [25, -70, 140], "at_m": [0.2, -0.1, 0.05]}
    plain, moved = (of_part(kind.read({**entry, **more}))[1] for more in ({}, place))
    assert moved.is_watertight and moved.volume == pytest.approx(plain.volume, rel=1e-9)
    larger = of_part(kind.read({**entry, "scale": [1.5, 0.5, 2.0]}))[1]
    assert larger.is_watertight and larger.volume == pytest.approx(1.5 * plain.volume, rel=1e-9)


@pytest.mark.parametrize("holes", [(1, 1), (2, 1), (4, 3)])
def test_each_hole_of_a_rack_takes_its_own_volume(holes):
    size = [0.12, 0.08, 0.04]
    entry = {"size_m": size, "holes": list(holes), "hole_radius_m": 0.01, "depth_m": 0.025}
    mesh = of_part(Rack.read(entry))[1]
    one = 0.025 * 8 * 0.01**2 * np.sin(np.pi / 8)  # a polygon of 16 sides
    assert np.prod(size) - mesh.volume == pytest.approx(holes[0] * holes[1] * one, rel=1e-6)


def test_finer_rings_come_nearer_to_the_cylinder():
    profile = {"profile_m": [[0, -0.05], [0.03, -0.05], [0.03, 0.05], [0, 0.05]]}
    missing = [
        1 - of_part(Revolve.read({**profile, "segments": sides}))[1].volume / (np.pi * 0.03**2 * 0.1)
        for sides in (12, 24, 48)
    ]
    assert missing[0] == pytest.approx(4 * missing[1], rel=0.05)  # of the second order
    assert missing[1] == pytest.approx(4 * missing[2], rel=0.05)


def test_zones_cut_the_mesh_and_not_the_body():
    profile = {"profile_m": [[0, -0.05], [0.03, -0.05], [0.03, 0.05], [0, 0.05]], "segments": SIDES}
    zones = [{"z_m": [-0.031, 0.017], "paint": "paper", "label": "wrap"}, {"z_m": [0.02, 0.05], "paint": "cap"}]
    whole, mesh = of_part(Revolve.read({**profile, "zones": zones}))
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(of_part(Revolve.read(profile))[1].volume, rel=1e-9)
    assert len(set(whole.part)) == 3
