import builtins
import logging
import os

import numpy as np
import pytest

from prehend.errors import AssetError, InvalidInput, MissingDependency
from prehend.pipeline.objects import OWN_OBJECTS, Symmetry, find_object, load_objects
from prehend_training.grasps.library import library_ids, load_grasps, sample_grasp, save_grasps
from prehend_training.objects import catalogue
from prehend_training.objects.importer import MOST_FACES, guess_symmetry, import_mesh, write_object
from prehend_training.objects.materials import dress
from prehend_training.objects.sdf import SdfGrid
from prehend_training.objects.shapes.triangles import closest_points, winding

trimesh = pytest.importorskip("trimesh", reason="the extra `meshes` is not installed")

SIZE_MM = np.array([60.0, 40.0, 120.0])


def box_mm():
    return trimesh.creation.box(SIZE_MM)


def box_distance(points, size):
    excess = np.abs(points) - size / 2
    return np.linalg.norm(np.maximum(excess, 0), axis=1) + np.minimum(excess.max(1), 0)


def some_points(scale_m=0.06, count=400, seed=0):
    return np.random.default_rng(seed).normal(0, scale_m, (count, 3))


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj"])
def test_a_box_in_millimetres_is_a_box(tmp_path, suffix):
    mesh = box_mm()
    mesh.apply_translation([300, 20, 10])
    mesh.export(tmp_path / f"crate.{suffix}")
    solid = import_mesh(tmp_path / f"crate.{suffix}", units="mm", object_id="crate")
    assert np.allclose(solid.extents_m, SIZE_MM / 1000, atol=1e-6)
    assert np.allclose(solid.center_m, 0, atol=1e-9)
    points = some_points()
    assert np.allclose(solid.distance(points), box_distance(points, SIZE_MM / 1000), atol=1e-4)
    near = points * 0.5
    assert np.allclose(solid.distance(near), box_distance(near, SIZE_MM / 1000), atol=1e-6)
    assert np.allclose(solid.stretched(1.4).distance(1.4 * near), 1.4 * solid.distance(near), atol=1e-6)
    assert solid.mass_kg == pytest.approx(400 * np.prod(SIZE_MM / 1000), rel=1e-3)
    assert guess_symmetry(solid) == Symmetry(("x", "y", "z"))


def test_the_mesh_is_drawn_outwards_with_sharp_edges(tmp_path):
    box_mm().export(tmp_path / "crate.stl")
    mesh = import_mesh(tmp_path / "crate.stl", units="mm", object_id="crate").mesh()
    corners = mesh.vertices[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((across[:, None] * mesh.normals[mesh.faces]).sum(-1) > 0).all()
    assert ((across * corners.mean(1)).sum(1) > 0).all()
    assert np.allclose(np.sort(np.abs(mesh.normals), axis=1), [0, 0, 1])
    assert np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max() < 0.041


def test_round_things_have_smooth_normals_exact_distances_and_their_symmetry(tmp_path):
    trimesh.creation.icosphere(subdivisions=4, radius=0.04).export(tmp_path / "ball.ply")
    trimesh.creation.cylinder(0.03, 0.12, sections=96).export(tmp_path / "rod.ply")
    ball = import_mesh(tmp_path / "ball.ply", units="m", object_id="ball")
    points = some_points(0.05)
    assert np.allclose(ball.distance(points), np.linalg.norm(points, axis=1) - 0.04, atol=2e-4)
    mesh = ball.mesh()
    assert ((mesh.normals * mesh.vertices).sum(1) > 0.0399).all()
    assert guess_symmetry(ball) == Symmetry(("x",), "z")
    rod = import_mesh(tmp_path / "rod.ply", units="m", object_id="rod")
    assert guess_symmetry(rod) == Symmetry(("x",), "z")


def test_signs_hold_at_thin_and_sharp_places(tmp_path):
    cone = trimesh.creation.cone(0.03, 0.1, sections=40)
    cone.export(tmp_path / "cone.stl")
    solid = import_mesh(tmp_path / "cone.stl", units="m", object_id="cone")
    points = some_points(0.04, 3000)
    vertices = np.asarray(cone.vertices) - cone.bounds.mean(0)
    inside = winding(points, vertices, np.asarray(cone.faces)) > 0.5
    assert inside.sum() > 50
    assert np.array_equal(solid.distance(points) < 0, inside)


def test_closest_points_are_no_farther_than_any_other():
    rng = np.random.default_rng(2)
    corners, points = rng.normal(size=(40, 3, 3)), rng.normal(size=(40, 3))
    places, weights = closest_points(points, corners)
    assert np.allclose((weights[..., None] * corners).sum(1), places)
    assert weights.min() >= 0
    others = rng.dirichlet(np.ones(3), (40, 500)) @ corners
    reach = np.linalg.norm(points - places, axis=1)
    assert (reach <= np.linalg.norm(points[:, None] - others, axis=2).min(1) + 1e-9).all()


def test_inverted_faces_are_turned_and_told(tmp_path, caplog):
    mesh = box_mm()
    mesh.invert()
    mesh.export(tmp_path / "crate.ply")
    with caplog.at_level(logging.WARNING):
        solid = import_mesh(tmp_path / "crate.ply", units="mm", object_id="crate")
    assert solid.distance(np.zeros((1, 3)))[0] == pytest.approx(-0.02)
    assert "inwards" in caplog.text


def test_holes_are_closed_and_told(tmp_path, caplog):
    mesh = trimesh.creation.cylinder(30, 120, sections=48)
    mesh.update_faces(mesh.face_normals[:, 2] < 0.9)  # without its top
    mesh.export(tmp_path / "tin.stl")
    with caplog.at_level(logging.WARNING):
        solid = import_mesh(tmp_path / "tin.stl", units="mm", object_id="tin")
    assert "not watertight" in caplog.text
    assert "60 mm" in caplog.text
    assert solid.distance(np.array([[0, 0, 0.055], [0, 0, 0.07]])) == pytest.approx([-0.005, 0.01], abs=1e-4)


def test_what_cannot_be_closed_still_has_an_inside(tmp_path, caplog):
    mesh = box_mm().subdivide().subdivide().subdivide()
    inner = trimesh.Trimesh([[0, 0, 60], [0, 0, 90], [20, 0, 90]], [[0, 1, 2]])  # a fin on an edge of the top
    faces = np.concatenate([mesh.faces, [[0, 1, 700]]])  # and a triangle that belongs nowhere
    spoilt = trimesh.util.concatenate(trimesh.Trimesh(mesh.vertices, faces[:-1], process=False), inner)
    spoilt.merge_vertices()
    spoilt.export(tmp_path / "crate.ply")
    with caplog.at_level(logging.WARNING):
        solid = import_mesh(tmp_path / "crate.ply", units="mm", object_id="crate")
    assert solid.distance(np.array([[0.0, 0.0, -0.015]]))[0] < -0.01
    assert solid.distance(np.array([[0.05, 0.05, 0.0]]))[0] > 0.01


def test_pieces_of_a_scene_lie_where_it_puts_them_in_their_colours(tmp_path):
    scene = trimesh.Scene()
    for colour, x in (([255, 0, 0, 255], -0.05), ([0, 0, 255, 255], 0.05)):
        piece = trimesh.creation.box([0.04, 0.04, 0.04])
        piece.visual.vertex_colors = colour
        transform = trimesh.transformations.rotation_matrix(np.pi / 4, [0, 0, 1], [0, 0, 0])
        transform[:3, 3] = [x, 0, 0]
        scene.add_geometry(piece, transform=transform)
    scene.export(tmp_path / "pair.glb")
    solid = import_mesh(tmp_path / "pair.glb", object_id="pair")
    assert solid.extents_m == pytest.approx([0.1 + 0.04 * 2**0.5, 0.04 * 2**0.5, 0.04], abs=1e-5)
    assert solid.distance(np.array([[-0.05, 0, 0], [0, 0, 0], [0.05, 0, 0]])) == pytest.approx(
        [-0.02, 0.05 - 0.02 * 2**0.5, -0.02], abs=1e-5
    )
    look = next(
        look for look in (dress(np.random.default_rng(k), solid, 0) for k in range(9)) if (look.layers < 0).all()
    )
    mesh = solid.mesh()
    colours = look.colours[mesh.part]
    assert (colours[mesh.vertices[:, 0] < 0].argmax(1) == 0).all()
    assert (colours[mesh.vertices[:, 0] > 0].argmax(1) == 2).all()


def test_bodies_inside_each_other_make_one_thing(tmp_path):
    first, second = trimesh.creation.box([40, 40, 40]), trimesh.creation.box([20, 20, 80])
    trimesh.util.concatenate(first, second).export(tmp_path / "cross.stl")
    solid = import_mesh(tmp_path / "cross.stl", units="mm", object_id="cross")
    points = np.array([[0, 0, 0.03], [0, 0, 0], [0.015, 0, 0], [0.015, 0, 0.03]])
    assert np.sign(solid.distance(points)).tolist() == [-1, -1, -1, 1]


@pytest.mark.parametrize(
    ("units", "words"), [("m", "as mm it would be 12 cm"), ("in", "as cm"), (None, "cm|mm")], ids=["m", "in", "none"]
)
def test_impossible_sizes_propose_a_unit(tmp_path, units, words):
    box_mm().export(tmp_path / "crate.stl")
    if units == "in":
        trimesh.creation.box([0.1, 0.1, 0.18]).export(tmp_path / "crate.stl")
        words = "as m it would be 18 cm"
    if units is None:
        trimesh.creation.box([20, 20, 20]).export(tmp_path / "crate.stl")
    with pytest.raises(AssetError, match=words):
        import_mesh(tmp_path / "crate.stl", units=units, object_id="crate")


def test_a_unit_that_alone_fits_is_taken(tmp_path):
    box_mm().export(tmp_path / "crate.stl")
    assert import_mesh(tmp_path / "crate.stl", object_id="crate").extents_m == pytest.approx(SIZE_MM / 1000, abs=1e-6)


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(AssetError, match="does not exist"):
        import_mesh(tmp_path / "none.obj", units="m", object_id="none")
    (tmp_path / "thing.fbx").write_text("x")
    with pytest.raises(AssetError, match=r"\.obj, \.ply, \.stl, \.glb"):
        import_mesh(tmp_path / "thing.fbx", units="m", object_id="thing")
    (tmp_path / "thing.glb").write_bytes(b"nonsense")
    with pytest.raises(AssetError, match=r"thing\.glb"):
        import_mesh(tmp_path / "thing.glb", units="m", object_id="thing")
    flat = trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]])
    flat.export(tmp_path / "flat.ply")
    with pytest.raises(AssetError, match="no inside"):
        import_mesh(tmp_path / "flat.ply", units="m", object_id="flat")
    with pytest.raises(InvalidInput, match="lower case"):
        import_mesh(tmp_path / "flat.ply", units="m", object_id="Flat thing")
    with pytest.raises(InvalidInput, match="choose one of"):
        import_mesh(tmp_path / "flat.ply", units="furlong", object_id="flat")


def test_without_trimesh_the_extra_is_named(tmp_path, monkeypatch):
    box_mm().export(tmp_path / "crate.stl")
    real = builtins.__import__

    def no_trimesh(name, *others, **more):
        if name == "trimesh":
            raise ImportError("no", name="trimesh")
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", no_trimesh)
    with pytest.raises(MissingDependency, match=r"pip install 'prehend\[meshes\]'"):
        import_mesh(tmp_path / "crate.stl", units="mm", object_id="crate")


def test_written_objects_are_read_like_those_of_the_catalogue(tmp_path):
    mesh = trimesh.creation.capsule(height=60, radius=20, count=[16, 16])
    mesh.visual.vertex_colors = np.where(
        np.asarray(mesh.vertices)[:, 2:] > 30, [[20, 200, 20, 255]], [[200, 200, 20, 255]]
    )
    mesh.export(tmp_path / "pill.ply")
    made = import_mesh(tmp_path / "pill.ply", units="mm", object_id="pill", symmetry=Symmetry(("x",), "z"))
    path = write_object(made, tmp_path / "own")
    assert path.name == "pill.yaml"
    read = catalogue(tmp_path / "own")["pill"]
    points = some_points(0.03, 200)
    assert np.allclose(read.distance(points), made.distance(points), atol=1e-6)
    assert read.symmetry == made.symmetry
    assert [surface.paint for surface in read.surfaces] == [surface.paint for surface in made.surfaces]
    assert len(read.mesh().faces) == len(made.mesh().faces)
    model = load_objects(tmp_path / "own")["pill"]
    assert np.allclose(model.extents_m, made.extents_m, atol=1e-6)
    grid = SdfGrid.of([read], 24)
    assert np.abs(grid.distance(points)[0] - read.distance(points)).mean() < 1e-3
    with pytest.raises(InvalidInput, match="not imported"):
        write_object(catalogue()["mug"], tmp_path)


def test_objects_of_ones_own_join_the_catalogue_with_their_grasps(tmp_path, monkeypatch):
    own = tmp_path / "own"
    trimesh.creation.icosphere(radius=33.5).export(tmp_path / "globe.stl")
    write_object(import_mesh(tmp_path / "globe.stl", units="mm", object_id="globe", symmetry=Symmetry((), "z")), own)
    (own / "grasps").mkdir()
    save_grasps(own / "grasps" / "globe.npz", load_grasps("ball").rows(np.arange(5)))
    with pytest.raises(AssetError, match="no grasps of 'globe'"):
        load_grasps("globe")
    monkeypatch.setenv(OWN_OBJECTS, str(own))
    assert {"ball", "globe"} <= catalogue().keys() and {"ball", "globe"} <= set(library_ids())
    assert find_object(load_objects(), "globe").symmetry.continuous == "z"
    grasp = sample_grasp(np.random.default_rng(0), "globe")
    assert grasp.solid.object_id == "globe" and len(load_grasps("globe")) == 5
    assert "globe" in {sample_grasp(np.random.default_rng(seed)).solid.object_id for seed in range(300)}
    monkeypatch.setenv(OWN_OBJECTS, f"{own}{os.pathsep}{own}")
    with pytest.raises(AssetError, match="'globe' is taken"):
        catalogue()


def test_a_description_without_its_mesh_is_refused(tmp_path):
    box_mm().export(tmp_path / "crate.stl")
    write_object(import_mesh(tmp_path / "crate.stl", units="mm", object_id="crate"), tmp_path / "own")
    (tmp_path / "own" / "crate.npz").write_bytes(b"nothing")
    with pytest.raises(AssetError, match=r"crate\.npz"):
        catalogue(tmp_path / "own")


def test_heavy_meshes_are_simplified_and_told(tmp_path, caplog):
    pytest.importorskip("fast_simplification", reason="the extra `meshes` is not installed")
    trimesh.creation.icosphere(subdivisions=6, radius=0.04).export(tmp_path / "ball.ply")
    with caplog.at_level(logging.WARNING):
        solid = import_mesh(tmp_path / "ball.ply", units="m", object_id="ball")
    assert "simplified from 81920" in caplog.text
    assert len(solid.mesh().faces) <= MOST_FACES
    points = some_points(0.05, 100)
    assert np.allclose(solid.distance(points), np.linalg.norm(points, axis=1) - 0.04, atol=3e-4)


def test_things_without_a_mirror_plane_are_told(tmp_path, caplog):
    first, second = trimesh.creation.box([60, 20, 20]), trimesh.creation.box([20, 60, 20])
    second.apply_translation([20, 20, 0])
    trimesh.util.concatenate(first, second).export(tmp_path / "angle.stl")
    with caplog.at_level(logging.WARNING):
        import_mesh(tmp_path / "angle.stl", units="mm", object_id="angle")
    assert "not its own mirror image" in caplog.text
    assert "across z" in caplog.text


def test_colours_end_where_faces_do_even_where_places_are_shared(tmp_path):
    mesh = trimesh.creation.box([60, 40, 120])
    mesh.unmerge_vertices()
    mesh.visual.face_colors = [
        [255, 0, 0, 255] if normal[2] > 0.5 else [0, 255, 0, 255] for normal in mesh.face_normals
    ]
    mesh.export(tmp_path / "crate.glb")
    solid = import_mesh(tmp_path / "crate.glb", units="mm", object_id="crate")
    drawn = solid.mesh()
    tints = np.array([solid.paints[surface.paint].tints[0] for surface in solid.surfaces])
    top = drawn.normals[:, 2] > 0.5
    assert (tints[drawn.part[top]].argmax(1) == 0).all()
    assert (tints[drawn.part[~top]].argmax(1) == 1).all()
