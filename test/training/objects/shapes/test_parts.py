"""Parts measure distance as their closed forms say, look like what they measure, and are closed."""

import numpy as np
import pytest

from prehend.errors import AssetError
from prehend_training.objects.shapes.mesh import assemble
from prehend_training.objects.shapes.parts_flat import Rack, RoundedBox
from prehend_training.objects.shapes.parts_plate import Extrusion
from prehend_training.objects.shapes.parts_round import Revolve, Torus, Tube
from prehend_training.objects.shapes.triangles import winding

SQUARE = [[-0.03, -0.02], [0.03, -0.02], [0.03, 0.02], [-0.03, 0.02]]
ELL = [[0, 0], [0.06, 0], [0.06, 0.02], [0.02, 0.02], [0.02, 0.06], [0, 0.06]]
CAN = [[0, -0.05], [0.03, -0.05], [0.03, 0.05], [0, 0.05]]
CUP = [[0, 0], [0.04, 0], [0.04, 0.09], [0.036, 0.09], [0.036, 0.005], [0, 0.005]]
ROD = [[0, 0, -0.05], [0, 0, 0.05]]
PARTS = {
    "box": (RoundedBox, {"size_m": [0.06, 0.04, 0.1]}),
    "round box": (RoundedBox, {"size_m": [0.06, 0.04, 0.1], "radius_m": 0.01}),
    "rack": (Rack, {"size_m": [0.12, 0.06, 0.05], "holes": [3, 2], "hole_radius_m": 0.008, "depth_m": 0.03}),
    "plate": (Extrusion, {"outline_m": SQUARE, "height_m": 0.02}),
    "round plate": (Extrusion, {"outline_m": SQUARE, "height_m": 0.02, "radius_m": 0.004}),
    "ell": (Extrusion, {"outline_m": ELL, "height_m": 0.02}),
    "can": (Revolve, {"profile_m": CAN, "segments": 32}),
    "cup": (Revolve, {"profile_m": CUP, "hollow": True, "segments": 32}),
    "tube": (Tube, {"path_m": ROD, "radius_m": 0.01, "segments": 32}),
    "cone": (Tube, {"path_m": ROD, "radius_m": [0.02, 0.008], "segments": 32}),
    "arc": (Tube, {"arc": {"center_m": [0, 0, 0], "radii_m": [0.05, 0.03], "from_deg": -90, "to_deg": 90},
                   "radius_m": 0.006, "segments": 32}),
    "ring": (Tube, {"arc": {"center_m": [0, 0, 0], "radii_m": [0.05, 0.05], "from_deg": 0, "to_deg": 360},
                    "radius_m": 0.006, "closed": True, "segments": 32}),
    "torus": (Torus, {"ring_m": 0.05, "tube_m": 0.01}),
}  # fmt: skip


def read(name, **more):
    kind, entry = PARTS[name]
    return kind.read({**entry, **more})


def mesh_of(part):
    return assemble(part.placed())[0]


def near(mesh, count=100, seed=0):
    """Points in and around a mesh."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    return np.random.default_rng(seed).uniform(low - 0.2 * (high - low), high + 0.2 * (high - low), (count, 3))


def surface_m2(mesh):
    corners = mesh.vertices[mesh.faces]
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2


ONE = np.ones(3)


@pytest.mark.parametrize("name", PARTS)
def test_what_is_inside_the_mesh_has_a_negative_distance(name):
    part = read(name)
    mesh = mesh_of(part)
    points = near(mesh)
    distance = part.distance(points, ONE, False)
    around = winding(points, mesh.vertices, mesh.faces)
    sure = np.abs(distance) > 1.5e-3  # triangles cut the corners of what is round
    assert sure.sum() > 50 and ((around > 0.5) == (distance < 0))[sure].all()
    np.testing.assert_allclose(around[sure], around[sure].round(), atol=0.02)  # closed: all around or not at all


@pytest.mark.parametrize("name", PARTS)
def test_faces_look_outwards(name):
    """A step along the normal of a face leaves the part, a step against it enters it."""
    mesh = mesh_of(read(name))
    corners = mesh.vertices[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    step = 1.5e-3 * across
    out, into = (read(name).distance(corners.mean(1) + side * step, ONE, False) for side in (1, -1))
    assert (out > into).all() and (out > 0).mean() > 0.99 and (into < 0).mean() > 0.99


@pytest.mark.parametrize("name", PARTS)
def test_a_distance_grows_no_faster_than_one_walks(name):
    part = read(name)
    start = near(mesh_of(part), 400)
    step = np.random.default_rng(1).normal(size=start.shape) * 1e-3
    change = part.distance(start + step, ONE, False) - part.distance(start, ONE, False)
    assert (np.abs(change) <= np.linalg.norm(step, axis=1) * 1.001 + 1e-9).all()


@pytest.mark.parametrize("name", PARTS)
def test_a_placed_part_is_the_part_elsewhere(name):
    here, there = read(name), read(name, at_m=[0.1, -0.2, 0.3], turn_deg=[20, -40, 110])
    points = near(mesh_of(here))
    moved = points @ there.R.T + there.t_m
    np.testing.assert_allclose(there.distance(moved, ONE, False), here.distance(points, ONE, False), atol=1e-9)
    seen, placed = (mesh_of(part) for part in (here, there))
    for mesh, part in ((seen, here), (placed, there)):
        assert np.abs(part.distance(mesh.vertices, ONE, False)).max() < 6e-4 or name == "rack"
    assert surface_m2(placed) == pytest.approx(surface_m2(seen))


@pytest.mark.parametrize("name", PARTS)
def test_a_part_twice_as_large_is_twice_as_far(name):
    part = read(name, at_m=[0.01, 0.02, 0])
    points = near(mesh_of(part))
    np.testing.assert_allclose(
        part.distance(2 * points, 2 * ONE, False), 2 * part.distance(points, ONE, False), atol=1e-9
    )


@pytest.mark.parametrize("name", [name for name in PARTS if not name.startswith("round")])  # they are not stretched
@pytest.mark.parametrize("scale", [(1.3, 1.3, 0.8), (1.2, 0.9, 1.0)])
def test_a_stretched_part_has_its_surface_where_the_stretched_mesh_is(name, scale):
    scale = np.array(scale)
    part = read(name)
    off = np.abs(part.distance(mesh_of(part).vertices * scale, scale, False))
    assert np.median(off) < 2e-4 and np.quantile(off, 0.9) < 2e-3


def test_turns_are_about_x_then_y_then_z():
    part = read("box", turn_deg=[90, 90, 0])
    np.testing.assert_allclose(part.R @ [0, 0, 1], [0, -1, 0], atol=1e-12)  # x: z to -y; y leaves it
    np.testing.assert_allclose(part.R @ [1, 0, 0], [0, 0, -1], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "point", "distance"),
    [
        ("box", (0, 0, 0), -0.02),
        ("box", (0.05, 0, 0), 0.02),
        ("box", (0.06, 0.06, 0), 0.05),
        ("round box", (0.03, 0.02, 0), 0.01 * (2**0.5 - 1)),
        ("can", (0, 0, 0), -0.03),
        ("can", (0.06, 0, 0.09), 0.05),
        ("cup", (0, 0, 0.05), 0.036),
        ("tube", (0, 0, 0), -0.01),
        ("tube", (0, 0, 0.08), 0.02),
        ("torus", (0.05, 0, 0), -0.01),
        ("torus", (0, 0, 0), 0.04),
        ("plate", (0.06, 0, 0.05), 0.05),
        ("rack", (0.04, 0.015, 0.025), 0.008),
        ("ring", (0, 0, 0), 0.044),
    ],
)
def test_distances_of_closed_forms(name, point, distance):
    off = 5e-4 if name == "ring" else 1e-9  # its line is one of straight pieces
    assert read(name).distance(np.array([point], float), ONE, False)[0] == pytest.approx(distance, abs=off)


@pytest.mark.parametrize(("name", "point"), [("cup", (0, 0, 0.05)), ("rack", (0.04, 0.015, 0.02))])
def test_a_hollow_that_is_filled_is_inside(name, point):
    part = read(name)
    assert part.distance(np.array([point]), ONE, False)[0] > 0 > part.distance(np.array([point]), ONE, True)[0]


@pytest.mark.parametrize("name", PARTS)
def test_filling_takes_nothing_away(name):
    part = read(name)
    points = near(mesh_of(part))
    assert (part.distance(points, ONE, True) <= part.distance(points, ONE, False) + 1e-9).all()


@pytest.mark.parametrize("name", PARTS)
def test_many_points_are_measured_as_each_alone(name):
    part = read(name)
    points = near(mesh_of(part), 2500)
    whole = part.distance(points.reshape(50, 50, 3), ONE, False)
    assert whole.shape == (50, 50)
    np.testing.assert_allclose(whole[::7, ::9], part.distance(points.reshape(50, 50, 3)[::7, ::9], ONE, False))
    assert part.distance(np.zeros((0, 3)), ONE, False).shape == (0,)


def test_zones_of_a_turned_body_have_paints_of_their_own():
    zones = [{"z_m": [-0.03, 0.03], "paint": "paper", "label": "food"}]
    part = read("can", zones=zones)
    mesh, surfaces = assemble(part.placed())
    label = next(k for k, surface in enumerate(surfaces) if surface.paint == "paper")
    assert surfaces[label].size_m == (pytest.approx(2 * np.pi * 0.03, abs=1e-4), pytest.approx(0.06))
    heights = mesh.vertices[mesh.part == label, 2]
    assert heights.min() == pytest.approx(-0.03) and heights.max() == pytest.approx(0.03)
    on_side = (np.hypot(*mesh.vertices[:, :2].T) > 0.0299) & (np.abs(mesh.vertices[:, 2]) < 0.0299)
    assert (mesh.part[on_side] == label).all()


def test_a_label_reads_from_left_to_right_and_from_above():
    """Seen from outside, u grows to the right and v downwards, on every side that can be printed."""
    for part in (read("box"), read("can"), read("plate")):
        mesh = mesh_of(part)
        corners, uv = mesh.vertices[mesh.faces], mesh.uv[mesh.faces]
        flat = uv[:, 1:] - uv[:, :1]
        turn = flat[:, 0, 0] * flat[:, 1, 1] - flat[:, 0, 1] * flat[:, 1, 0]
        # counter-clockwise from outside is clockwise where v points down
        upright = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]) < 1e-12
        assert upright.any() and (turn[upright] < 1e-12).all()


def test_a_tube_that_widens_too_fast_is_refused():
    with pytest.raises(AssetError, match="radius"):
        Tube.read({"path_m": [[0, 0, 0], [0, 0, 0.01]], "radius_m": [0.001, 0.02]})


def test_an_outline_may_run_either_way():
    ways = [Extrusion.read({"outline_m": outline, "height_m": 0.02}) for outline in (ELL, ELL[::-1])]
    points = near(mesh_of(ways[0]))
    np.testing.assert_allclose(*(part.distance(points, ONE, False) for part in ways), atol=1e-12)
