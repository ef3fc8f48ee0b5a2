"""Objects that are in no catalogue: closed, of a size for hands, of the kind they say, and those of their seed."""

import numpy as np
import pytest

from prehend_training.objects import FAMILIES, Range, catalogue, sample_solid
from prehend_training.objects.asset_split import HELD_OUT_OBJECTS, drawn_from
from prehend_training.objects.families import random_bottle, random_box, random_can, random_fruit, random_mug
from prehend_training.objects.shapes.mesh import assemble
from prehend_training.objects.symmetry import symmetry_of

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")

OBJECTS = sorted(catalogue())


def closed(part):
    """The mesh of a part with each place once, as another library has it."""
    whole = assemble(part.placed())[0]
    mesh = trimesh.Trimesh(whole.vertices, whole.faces, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=8)
    mesh.update_faces(mesh.nondegenerate_faces())
    return mesh


@pytest.mark.parametrize("object_id", OBJECTS)
def test_no_part_of_the_catalogue_has_a_gap(object_id):
    """Edge for edge: also where the mesh of one side is finer than that of its neighbour."""
    for part in catalogue()[object_id].parts:
        mesh = closed(part)
        assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0, part.kind


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_no_part_of_a_family_has_a_gap(family):
    for seed in range(4):
        for part in family(np.random.default_rng(seed)).parts:
            mesh = closed(part)
            assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0, (seed, part.kind)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_member_is_that_of_its_seed(family):
    one, again, other = (family(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.mesh().vertices, again.mesh().vertices)
    assert one.object_id == again.object_id and one.mass_kg == again.mass_kg
    assert not np.array_equal(one.extents_m, other.extents_m)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_member_is_a_kind_of_what_the_catalogue_has(family):
    for seed in range(6):
        member = family(np.random.default_rng(seed))
        model = catalogue()[member.object_id]
        assert member.symmetry == model.symmetry == symmetry_of(member.object_id)
        assert member.paints == model.paints and member.grasps == model.grasps
        assert member.object_id not in HELD_OUT_OBJECTS
        assert 0.005 <= member.mass_kg <= 1.5
        assert 0.01 < member.extents_m.max() < 0.4 and np.sort(member.extents_m)[0] < 0.12


def test_a_larger_box_is_as_much_heavier_as_it_is_larger_up_to_what_is_believable():
    box = catalogue()["box"]
    boxes = [random_box(np.random.default_rng(seed)) for seed in range(20)]
    assert {solid.object_id for solid in boxes} == {"box"}
    for solid in boxes:
        np.testing.assert_allclose(solid.extents_m, box.extents_m * solid.scale)
        assert (solid.extents_m <= [0.1601, 0.0901, 0.2201]).all() and (solid.extents_m >= 0.0149).all()


@pytest.mark.parametrize("make", [random_bottle, random_can, random_fruit])
def test_what_is_turned_is_round(make):
    for seed in range(4):
        solid = make(np.random.default_rng(seed))
        assert solid.is_round
        angle = np.linspace(0, 2 * np.pi, 9)
        for radius, height in ((0.02, 0.0), (0.05, 0.03), (0.01, -0.02)):
            ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle + height], 1)
            assert np.ptp(solid.distance(ring)) < 2e-3  # a stalk is no rounder than its corners


def test_a_can_is_alike_above_and_below():
    for seed in range(4):
        solid = random_can(np.random.default_rng(seed))
        points = np.random.default_rng(9).normal(0, 0.05, (200, 3))
        np.testing.assert_allclose(solid.distance(points), solid.distance(points * [1, 1, -1]), atol=1e-9)


def test_the_handle_of_a_mug_meets_its_wall_and_leaves_room_for_fingers():
    for seed in range(8):
        mug = random_mug(np.random.default_rng(seed))
        body, handle = mug.parts
        assert body.kind == "revolve" and handle.kind == "tube"
        ends = handle.path_m[[0, -1]]
        assert (np.abs(body.distance(ends, np.ones(3), False)) < 0.006).all()
        middle = handle.path_m[len(handle.path_m) // 2]
        gap = body.distance(middle[None], np.ones(3), False)[0] - handle.radii_m.max()
        assert gap > 0.006
        assert body.distance(np.zeros((1, 3)), np.ones(3), False)[0] > 0  # hollow


def test_what_is_drawn_repeats_itself_and_keeps_to_its_split():
    drawn = [[sample_solid(rng) for _ in range(40)] for rng in map(np.random.default_rng, (1, 1, 2))]
    sizes = [np.array([solid.extents_m for solid in some]) for some in drawn]
    np.testing.assert_array_equal(sizes[0], sizes[1])
    assert not np.array_equal(sizes[0], sizes[2])
    with drawn_from("held-out"):
        held_out = [sample_solid(np.random.default_rng(seed)) for seed in range(60)]
    assert {solid.object_id for solid in held_out} <= HELD_OUT_OBJECTS
    forms = {id(solid.form) for solid in catalogue().values()}
    assert all(id(solid.form) in forms for solid in held_out)  # no member of a family is among them


def test_stretches_stay_within_their_limits_and_fill_them():
    limits = Range(size=(0.5, 2.0), wide=(0.9, 1.1), tall=(0.8, 1.0), free=(1.0, 1.0))
    rng = np.random.default_rng(0)
    drawn = np.array([limits.sample(rng) for _ in range(2000)])
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert drawn[:, 2].min() >= 0.5 * 0.8 and drawn[:, 2].max() <= 2.0
    ratio = drawn[:, 2] / drawn[:, 0]
    assert ratio.min() >= 0.8 / 1.1 - 1e-9 and ratio.max() <= 1.0 / 0.9 + 1e-9
    logs = np.log(drawn[:, 0])
    assert abs(logs.mean()) < 0.05 and logs.min() < np.log(0.52) and logs.max() > np.log(1.95)  # even in the logarithm
    np.testing.assert_array_equal(Range().sample(rng), np.ones(3))


@pytest.mark.parametrize("object_id", OBJECTS[::5])
def test_stretches_add_up(object_id):
    solid = catalogue()[object_id]
    twice = solid.stretched([1.2, 1.2, 0.9]).stretched(1.1)
    once = solid.stretched(np.array([1.32, 1.32, 0.99]))
    np.testing.assert_allclose(twice.extents_m, once.extents_m)
    np.testing.assert_allclose(twice.mesh().vertices, once.mesh().vertices)
    np.testing.assert_allclose(np.linalg.norm(twice.mesh().normals, axis=1), 1)
    assert solid.form is twice.form  # the mesh is made once for all sizes


def test_nothing_is_nearest_to_no_points():
    assert catalogue()["mug"].nearest(np.zeros((0, 3))) == np.inf
