import numpy as np
import pytest
import yaml

from prehend.errors import AssetError
from prehend_training.objects import CATALOGUE, FAMILIES, catalogue, random_box, read_solid, sample_solid
from prehend_training.objects.shapes.mesh import LONGEST_EDGE_M
from prehend_training.objects.shapes.triangles import winding

OBJECTS = sorted(catalogue())
TURN = np.array([[np.cos(1), -np.sin(1), 0], [np.sin(1), np.cos(1), 0], [0, 0, 1]])


def box_of(solid):
    vertices = solid.mesh().vertices
    return np.ptp(vertices, axis=0), (vertices.max(0) + vertices.min(0)) / 2


@pytest.mark.parametrize("object_id", OBJECTS)
def test_the_catalogue_tells_the_truth_about_sizes(object_id):
    for scale in (np.ones(3), np.array([1.2, 1.2, 0.8])):
        solid = catalogue()[object_id].stretched(scale)
        extents, center = box_of(solid)
        assert np.allclose(extents, solid.extents_m, atol=1e-4)
        assert np.allclose(center, solid.center_m, atol=1e-4)


@pytest.mark.parametrize("object_id", OBJECTS)
def test_meshes_are_light_and_face_outwards(object_id):
    mesh = catalogue()[object_id].mesh()
    corners = mesh.vertices[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    assert len(mesh.faces) <= 3000
    assert np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max() <= LONGEST_EDGE_M + 1e-9
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    assert ((across[:, None] * mesh.normals[mesh.faces]).sum(-1) > 0).all()
    assert mesh.uv.min() > -1e-6
    assert mesh.uv.max() < 1 + 1e-6
    assert set(mesh.part) == set(range(len(catalogue()[object_id].surfaces)))


@pytest.mark.parametrize("object_id", OBJECTS)
def test_distance_is_zero_on_the_mesh_and_grows_like_distance(object_id):
    solid = catalogue()[object_id]
    mesh = solid.mesh()
    centres = mesh.vertices[mesh.faces].mean(1)
    # nothing drawn lies outside of what is felt; pieces of the mesh may lie inside of other parts
    assert solid.distance(mesh.vertices).max() < 5e-4
    assert np.median(np.abs(solid.distance(centres))) < 6e-4
    normals = mesh.normals[mesh.faces].mean(1)
    assert np.median(solid.distance(centres + 0.002 * normals)) == pytest.approx(0.002, abs=5e-4)
    assert (solid.distance(mesh.vertices + 0.5 * np.sign(mesh.vertices + 1e-9)) > 0.3).all()
    rng = np.random.default_rng(0)
    a = rng.normal(0, 0.06, (500, 3))
    b = a + rng.normal(0, 0.02, (500, 3))
    assert (np.abs(solid.distance(a) - solid.distance(b)) <= 1.1 * np.linalg.norm(a - b, axis=1) + 1e-6).all()


@pytest.mark.parametrize("object_id", OBJECTS)
def test_stretched_solids_are_measured_at_their_size(object_id):
    solid = catalogue()[object_id]
    points = np.random.default_rng(1).normal(0, 0.05, (200, 3))
    assert np.allclose(solid.stretched(1.3).distance(1.3 * points), 1.3 * solid.distance(points))
    wide = solid.stretched([1.15, 1.15, 0.9])
    assert np.abs(wide.distance(wide.mesh().vertices)).min() < 1e-6
    assert wide.distance(wide.mesh().vertices).max() < 1e-3


@pytest.mark.parametrize("object_id", OBJECTS)
def test_things_are_their_own_mirror_image(object_id):
    # `pnp.MIRRORED_ORDER` and the left hands of scenes rest on it
    solid = catalogue()[object_id]
    vertices = solid.mesh().vertices
    points = np.concatenate([vertices, np.random.default_rng(2).normal(0, 0.05, (200, 3))])
    assert np.allclose(solid.distance(points), solid.distance(points * [1, -1, 1]), atol=2e-4)


def surface_gap(solid, turn):
    """Largest distance of the turned mesh to the solid, over the size."""
    mesh = solid.mesh()
    points = np.concatenate([mesh.vertices, mesh.vertices[mesh.faces].mean(1)])
    outer = np.abs(solid.distance(points)) < 5e-4
    turned = (points[outer] - solid.center_m) @ turn.T + solid.center_m
    return float(np.abs(solid.distance(turned)).max())


def half_turn(axis):
    return np.diag([1.0 if name == axis else -1.0 for name in "xyz"])


@pytest.mark.parametrize("object_id", OBJECTS)
def test_declared_turns_change_nothing_and_others_do(object_id):
    solid = catalogue()[object_id]
    declared = set(solid.symmetry.half_turns) | ({solid.symmetry.continuous} - {None})
    if solid.symmetry.continuous:
        assert solid.symmetry.continuous == "z"
        assert surface_gap(solid, TURN) < 1.2e-3
        declared |= {"y"} if "x" in declared else set()
    else:
        quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
        assert surface_gap(solid, quarter) > 1e-3 or "cube" in object_id
    for axis in "xyz":
        gap = surface_gap(solid, half_turn(axis))
        assert gap < 1e-3 if axis in declared else gap > 1e-3


def test_hollows_have_walls_and_can_be_filled():
    for object_id in ("mug",):
        solid = catalogue()[object_id]
        middle = np.array([[0.0, 0.0, solid.center_m[2]]])
        assert solid.distance(middle)[0] > 0.01
        assert solid.distance(middle, filled=True)[0] < -0.01
        mesh = solid.mesh()
        assert np.allclose(np.minimum(solid.distance(mesh.vertices, filled=True), 0) <= 1e-3, True)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_families_make_many_forms_with_the_size_and_the_turns_they_declare(family):
    sizes = []
    for seed in range(8):
        solid = family(np.random.default_rng(seed))
        extents, center = box_of(solid)
        assert np.allclose(extents, solid.extents_m, atol=1e-6)
        assert np.allclose(center, solid.center_m, atol=1e-6)
        mesh = solid.mesh()
        assert solid.distance(mesh.vertices).max() < 1e-3
        outer = np.abs(solid.distance(mesh.vertices)) < 5e-4
        assert outer.mean() > 0.5
        if solid.symmetry.continuous:
            assert surface_gap(solid, TURN) < 1.2e-3
        for axis in solid.symmetry.half_turns:
            assert surface_gap(solid, half_turn(axis)) < 1e-3
        assert np.allclose(solid.distance(mesh.vertices), solid.distance(mesh.vertices * [1, -1, 1]), atol=2e-4)
        assert {surface.paint for surface in solid.surfaces} <= set(solid.paints)
        sizes.append(solid.extents_m)
    assert np.std(sizes, axis=0).min() > 1e-3


def test_random_boxes_have_their_size():
    box = random_box(np.random.default_rng(0))
    assert np.allclose(box_of(box)[0], box.extents_m, atol=1e-6)


@pytest.mark.parametrize("object_id", OBJECTS)
def test_every_part_is_closed(object_id):
    # a surface with a gap goes around a point neither once nor not at all
    rng = np.random.default_rng(4)
    for part in catalogue()[object_id].parts:
        patches = part.placed()
        vertices = np.concatenate([patch.vertices for patch in patches])
        first = np.cumsum([0, *(len(patch.vertices) for patch in patches)])
        faces = np.concatenate([patch.faces + start for patch, start in zip(patches, first, strict=False)])
        points = vertices.min(0) + rng.random((60, 3)) * np.ptp(vertices, axis=0)
        distance = part.distance(points, np.ones(3), False)
        clear = np.abs(distance) > 1.5e-3
        around = winding(points[clear], vertices, faces)
        assert np.abs(around - (distance[clear] < 0)).max(initial=0) < 0.02


@pytest.mark.parametrize("object_id", OBJECTS)
def test_things_are_of_a_size_for_hands_and_say_how_they_are_held(object_id):
    solid = catalogue()[object_id]
    assert 0.01 <= solid.extents_m.max() <= 0.4
    assert 0.005 <= solid.mass_kg <= 2
    assert solid.grasps
    for seed in range(20):
        scale = solid.stretch.sample(np.random.default_rng(seed))
        assert 0.4 < scale.min() <= scale.max() < 1.6


def test_samples_stay_within_the_believable():
    rng = np.random.default_rng(3)
    drawn = [sample_solid(rng) for _ in range(900)]
    assert len({solid.object_id for solid in drawn}) == len(OBJECTS)
    for solid in drawn:
        assert 0.008 <= solid.extents_m.max() <= 0.5


def test_the_nearest_point_is_found_without_measuring_all():
    rng = np.random.default_rng(6)
    for _ in range(40):
        solid = sample_solid(rng)
        points = solid.center_m + rng.normal(size=3) * 0.1 + 0.05 * rng.normal(size=(300, 3))
        assert abs(solid.nearest(points) - solid.distance(points).min()) < 1e-9


def test_a_file_without_its_keys_is_refused(tmp_path):
    entry = yaml.safe_load((CATALOGUE / "box.yaml").read_text())
    path = tmp_path / "broken.yaml"
    for changes, message in [
        ({"extents_m": "remove"}, "extents_m"),
        ({"parts": "remove"}, "lacks parts"),
        ({"parts": [{"kind": "teapot"}]}, "teapot"),
        ({"parts": [{"kind": "box"}]}, "size_m"),
        ({"parts": [{"kind": "box", "size_m": [1, 1, 1], "paint": "gold"}]}, "gold"),
    ]:
        changed = {key: value for key, value in {**entry, **changes}.items() if value != "remove"}
        path.write_text(yaml.safe_dump(changed))
        with pytest.raises(AssetError, match=message) as caught:
            read_solid(path)
        assert "broken.yaml" in str(caught.value)
