import builtins
import json
import struct
import time

import numpy as np
import pytest

from prehend import mesh_files
from prehend.errors import AssetError, InvalidInput, MissingDependency, OutputError
from prehend.object_catalogue import OWN_OBJECTS, Symmetry, load_objects
from prehend.object_meshes import id_of_name, object_of_mesh, write_description

trimesh = pytest.importorskip("trimesh", reason="the extra `objects` is not installed")

SIZE_MM = np.array([60.0, 40.0, 120.0])


@pytest.fixture
def crate(tmp_path):
    mesh = trimesh.creation.box(SIZE_MM)
    mesh.apply_translation([300, 20, 10])
    mesh.export(tmp_path / "My Crate-2.stl")
    return tmp_path / "My Crate-2.stl"


@pytest.mark.parametrize("suffix", ["stl", "ply", "obj", "glb"])
@pytest.mark.parametrize(("unit", "metres"), [("mm", 0.001), ("cm", 0.01), ("m", 1.0)])
def test_size_and_place_in_every_kind_and_unit(tmp_path, suffix, unit, metres):
    mesh = trimesh.creation.box(SIZE_MM / 1000 / metres)
    mesh.apply_translation(np.array([0.3, 0.02, 0.01]) / metres)
    mesh.export(tmp_path / f"crate.{suffix}")
    found = object_of_mesh(tmp_path / f"crate.{suffix}", unit=unit)
    np.testing.assert_allclose(found.model.extents_m, SIZE_MM / 1000, atol=1e-6)
    np.testing.assert_allclose(found.origin_m, [0.3, 0.02, 0.01], atol=1e-6)
    assert not found.model.center_m.any()
    assert (found.unit, found.guessed, found.triangles) == (unit, False, 12)


def test_pieces_lie_where_their_scene_puts_them(tmp_path):
    scene = trimesh.Scene()
    for x in (-0.05, 0.05):
        transform = trimesh.transformations.rotation_matrix(np.pi / 4, [0, 0, 1])
        transform[:3, 3] = [x, 0, 0]
        scene.add_geometry(trimesh.creation.box([0.04, 0.04, 0.04]), transform=transform)
    scene.export(tmp_path / "pair.glb")
    found = object_of_mesh(tmp_path / "pair.glb")
    np.testing.assert_allclose(found.model.extents_m, [0.1 + 0.04 * 2**0.5, 0.04 * 2**0.5, 0.04], atol=1e-6)
    assert (found.unit, found.guessed) == ("m", False)  # by the standard of glb


def test_a_unit_is_guessed_only_where_one_alone_fits(tmp_path, crate):
    found = object_of_mesh(crate)
    assert (found.unit, found.guessed) == ("mm", True)
    trimesh.creation.box([20, 20, 20]).export(tmp_path / "die.stl")
    with pytest.raises(AssetError, match=r"give its units, cm \(20 cm\) or mm \(2 cm\)"):
        object_of_mesh(tmp_path / "die.stl")
    with pytest.raises(AssetError, match="as mm it would be 12 cm"):
        object_of_mesh(crate, unit="m")


def test_ids_of_names(crate):
    assert object_of_mesh(crate).model.object_id == "my_crate_2"
    assert object_of_mesh(crate).model.name == "my crate 2"
    assert id_of_name("Größe 3!") == "gr_e_3"
    assert id_of_name("***") == "object"


def test_what_is_written_is_read(tmp_path, monkeypatch, crate):
    model = object_of_mesh(crate, "crate", "mm", "a crate", Symmetry(("x", "y"), "z")).model
    path = write_description(model, tmp_path / "own" / "things")
    assert path == tmp_path / "own" / "things" / "crate.yaml"
    read = load_objects(path.parent)["crate"]
    np.testing.assert_allclose(read.extents_m, model.extents_m)
    assert (read.name, read.symmetry) == ("a crate", model.symmetry)
    monkeypatch.setenv(OWN_OBJECTS, str(path.parent))
    assert {"crate", "mug"} <= load_objects().keys()


def test_no_id_is_taken_and_no_file_is_lost(tmp_path, monkeypatch, crate):
    own = tmp_path / "own"
    model = object_of_mesh(crate, "crate").model
    path = write_description(model, own)
    before = path.read_bytes()
    other = object_of_mesh(crate, "crate", "mm", "another")
    with pytest.raises(AssetError, match="--replace"):
        write_description(other.model, own)
    assert path.read_bytes() == before
    write_description(other.model, own, replace=True)
    assert load_objects(own)["crate"].name == "another"
    for replace in (False, True):  # the catalogue's own ids are nobody else's
        with pytest.raises(AssetError, match=r"'mug' is taken by .*mug\.yaml: give another one"):
            write_description(object_of_mesh(crate, "mug").model, own, replace)
    monkeypatch.setenv(OWN_OBJECTS, str(own))
    with pytest.raises(AssetError, match="is taken by"):
        write_description(model, tmp_path / "elsewhere", replace=True)
    assert not (tmp_path / "elsewhere").exists()
    (own / "box_2.yaml").write_text(path.read_text())  # a file of that name, with another id inside
    with pytest.raises(AssetError, match="is there already"):
        write_description(object_of_mesh(crate, "box_2").model, own)


def test_wrong_files_are_named(tmp_path, crate):
    with pytest.raises(AssetError, match="does not exist"):
        object_of_mesh(tmp_path / "none.obj")
    for name, content in (("thing.glb", b"nonsense"), ("thing.stl", b""), ("thing.ply", b"ply\nformat x")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AssetError, match=name):
            object_of_mesh(tmp_path / name, unit="m")
    (tmp_path / "thing.fbx").write_text("x")
    with pytest.raises(AssetError, match=r"\.obj, \.ply, \.stl, \.glb"):
        object_of_mesh(tmp_path / "thing.fbx")
    trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]]).export(tmp_path / "flat.ply")
    with pytest.raises(AssetError, match="is flat"):
        object_of_mesh(tmp_path / "flat.ply", unit="m")
    with pytest.raises(InvalidInput, match="lower case"):
        object_of_mesh(crate, "My crate")
    with pytest.raises(InvalidInput, match="choose one of"):
        object_of_mesh(crate, unit="furlong")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        write_description(object_of_mesh(crate).model, tmp_path / "file" / "folder")


def test_nothing_outside_the_folder_is_read(tmp_path):
    """An .obj may name any file as its materials."""
    (tmp_path / "secret.mtl").write_text("newmtl a\nKd 1 0 0\n")
    (tmp_path / "in").mkdir()
    lines = ["mtllib ../secret.mtl", "usemtl a", "v 0 0 0", "v 0.1 0 0", "v 0 0.1 0", "v 0 0 0.1"]
    (tmp_path / "in" / "tetra.obj").write_text("\n".join([*lines, "f 1 2 3", "f 1 2 4", "f 1 3 4", "f 2 3 4"]))
    found = object_of_mesh(tmp_path / "in" / "tetra.obj", unit="m")
    np.testing.assert_allclose(found.model.extents_m, 0.1)


CORNERS = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], "<f4").tobytes()


def glb(path, **more):
    """A glb file of one triangle, or of what else is said."""
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}], "buffers": [{"byteLength": 36}],
    }  # fmt: skip
    text = json.dumps({**document, **more}).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(CORNERS), b"BIN\0") + CORNERS
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)
    return path


def test_a_mesh_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    """20,000 nodes one below the other, each with the mesh: under 1 MB, and a minute's work."""
    chain = [{"mesh": 0, "children": [n + 1]} for n in range(20_000)]
    path = glb(tmp_path / "chain.glb", nodes=[*chain, {"mesh": 0}])
    assert path.stat().st_size < 1 << 20
    monkeypatch.setattr(mesh_files, "TIMEOUT_S", 3.0)
    start = time.monotonic()
    with pytest.raises(AssetError, match=r"chain\.glb takes over 3 s to read") as error:
        object_of_mesh(path)
    assert time.monotonic() - start < 30 and "\n" not in str(error.value)


def test_a_mesh_that_takes_too_much_memory_is_ended(tmp_path, monkeypatch):
    code = mesh_files._CHILD.replace(
        "import serve\n", "import serve\nimport prehend.bounds as b\nb.MEMORY_BYTES = 1 << 28\n"
    )
    monkeypatch.setattr(mesh_files, "_CHILD", code)
    ball = trimesh.creation.icosphere(subdivisions=7, radius=0.1)
    ball.export(tmp_path / "ball.stl")
    with pytest.raises(AssetError, match=r"ball\.stl ended its reader") as error:
        object_of_mesh(tmp_path / "ball.stl", unit="m")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "nodes", [[{"mesh": 0, "children": [0]}], [{"children": [1]}, {"mesh": 0, "children": [0]}]], ids=["self", "ring"]
)
def test_nodes_in_a_ring_are_one_line(tmp_path, nodes):
    with pytest.raises(AssetError, match=r"ring\.glb") as error:
        object_of_mesh(glb(tmp_path / "ring.glb", nodes=nodes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["images", "buffers"])
def test_a_url_in_a_glb_reaches_nobody(tmp_path, kind, unasked):
    url = f"{unasked}/a.bin"
    more = {"buffers": [{"byteLength": 36, "uri": url}]} if kind == "buffers" else {
        "images": [{"uri": url}], "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
    }  # fmt: skip
    with pytest.raises(AssetError):  # flat, or without its buffer
        object_of_mesh(glb(tmp_path / "a.glb", **more))


def test_a_texture_that_is_missing_costs_no_mesh(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd gone.png\n")
    lines = ["mtllib a.mtl", "usemtl a", "v 0 0 0", "v 0.1 0 0", "v 0 0.1 0", "v 0 0 0.1", "vt 0 0"]
    faces = ["f 1/1 2/1 3/1", "f 1/1 2/1 4/1", "f 1/1 3/1 4/1", "f 2/1 3/1 4/1"]
    (tmp_path / "a.obj").write_text("\n".join([*lines, *faces]))
    np.testing.assert_allclose(object_of_mesh(tmp_path / "a.obj", unit="m").model.extents_m, 0.1)


def test_without_trimesh_the_extra_is_named(crate, monkeypatch):
    real = builtins.__import__

    def no_trimesh(name, *others, **more):
        if name == "trimesh":
            raise ImportError("no", name="trimesh")
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", no_trimesh)
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[objects\]'"):
        object_of_mesh(crate)
