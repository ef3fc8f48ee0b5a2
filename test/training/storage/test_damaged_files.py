"""Shards, notes and meshes that were cut off, changed, or made to harm: one line each."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from prehend.errors import AssetError, PrehendError
from prehend_training.objects.catalogue import read_solid
from prehend_training.storage.shards import ShardFolder, claim

TRIMESH = "trimesh is not installed"


@pytest.fixture
def folder(crops, tmp_path):
    shutil.copytree(crops, tmp_path / "crops")
    return tmp_path / "crops"


def shard(folder):
    return sorted(folder.glob("shard-*.tar"))[0]


def opened(folder):
    """Every sample, read."""
    for sample in ShardFolder.open(folder):
        assert sample.image.ndim == 3


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema": "prehend.shards/2"}', '{"schema": "prehend.shards/2", "kind": "crops", "shards": 5}',
     '{"schema": "prehend.shards/2", "kind": "crops", "shards": {"../x.tar": {"samples": 1, "bytes": 1, "units": 1}}}',
     '{"schema": "prehend.shards/2", "kind": "crops", "shards": {"x.tar": {"samples": -1}}}', "[" * 99999],
)  # fmt: skip
def test_a_damaged_index_is_one_line(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.raises(AssetError, match=r"index\.json"):
        ShardFolder.open(folder)


def tar_of(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data, kind in members:
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data), kind
            member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 3000, tar_of([("nodot", b"x", tarfile.REGTYPE)]), tar_of([("a.b", b"", tarfile.SYMTYPE)]),
     tar_of([("0-0.labels.json", b"{}", tarfile.REGTYPE)]), b"\x1f\x8b" + bytes(600)],
    ids=["empty", "noise", "no dot", "link", "too few", "gzip"],
)  # fmt: skip
def test_a_damaged_shard_is_one_line(folder, data):
    path = shard(folder)
    index = json.loads((folder / "index.json").read_text())
    index["shards"][path.name]["bytes"] = len(data)
    (folder / "index.json").write_text(json.dumps(index))
    path.write_bytes(data)
    with pytest.raises(AssetError, match=path.name):
        opened(folder)


def test_bytes_that_change_in_a_shard_are_a_sample_or_one_line(folder):
    path = shard(folder)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(good)
        for place in rng.integers(0, len(data), rng.integers(1, 40)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            opened(folder)
        except AssetError as error:
            assert "\n" not in str(error)


def test_an_array_whose_header_lies_takes_no_memory(folder):
    from prehend_training.storage.codec import _read_npy

    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000, 3), }"
    header += b" " * (118 - len(header)) + b"\n"
    with pytest.raises(ValueError, match="array of"):
        _read_npy(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))


def test_a_note_is_not_written_again_and_a_cut_one_is_named(tmp_path):
    claim(tmp_path, {"kind": "crops", "seed": 1})
    before = (tmp_path / "config.json").stat()
    claim(tmp_path, {"kind": "crops", "seed": 1})
    after = (tmp_path / "config.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    (tmp_path / "config.json").write_text("")
    with pytest.raises(AssetError, match=r"config\.json"):
        claim(tmp_path, {"kind": "crops", "seed": 1})


PARENT = """
import sys, time
sys.path[:0] = [{training!r}, {here!r}, {helpers!r}]
from prehend_training.engine import Job
from prehend_training.engine.local import LocalEngine
import test_damaged_files as t
if __name__ == "__main__":
    for _ in LocalEngine(t.open_sleeper, 2).map([Job(str(n), sys.argv[1]) for n in range(2)]):
        pass
"""


def open_sleeper():
    return sleep_long


def sleep_long(folder):
    (Path(folder) / str(os.getpid())).write_text("")
    time.sleep(600)


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    here = Path(__file__).parent
    script = tmp_path / "parent.py"
    script.write_text(
        PARENT.format(training=str(here.parents[2] / "training"), here=str(here), helpers=str(here.parent))
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(marks)])
    deadline = time.monotonic() + 120
    while len(list(marks.iterdir())) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    workers = [int(mark.name) for mark in marks.iterdir()]
    assert all(map(is_alive, workers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


# meshes

BOX = """{head}v -0.05 -0.03 -0.02
v 0.05 -0.03 -0.02
v 0.05 0.03 -0.02
v -0.05 0.03 -0.02
v -0.05 -0.03 0.02
v 0.05 -0.03 0.02
v 0.05 0.03 0.02
v -0.05 0.03 0.02
""" + "".join(
    f"f {a}/1 {b}/1 {c}/1\n"
    for a, b, c in ((1, 3, 2), (1, 4, 3), (5, 6, 7), (5, 7, 8), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 4, 8),
                    (3, 8, 7), (4, 1, 5), (4, 5, 8))
)  # fmt: skip


def obj(tmp_path, material):
    (tmp_path / "m.mtl").write_text(f"newmtl a\n{material}\n")
    (tmp_path / "box.obj").write_text(BOX.format(head="mtllib m.mtl\nvt 0 0\nusemtl a\n"))
    return tmp_path / "box.obj"


@pytest.mark.parametrize("texture", ["nope.png", "m.mtl", "../secret.png", "/etc/hostname"])
def test_an_obj_whose_texture_cannot_be_read_is_an_object_without_it(tmp_path, texture, caplog):
    pytest.importorskip("trimesh", reason=TRIMESH)
    from prehend_training.objects.importer import import_mesh

    solid = import_mesh(obj(tmp_path, f"map_Kd {texture}"), object_id="x", units="m")
    assert np.allclose(solid.extents_m, [0.1, 0.06, 0.04])


def glb(document, binary=b""):
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = len(text).to_bytes(4, "little") + b"JSON" + text
    chunks += len(binary).to_bytes(4, "little") + b"BIN\0" + binary if binary else b""
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks


def triangle(**more):
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], "<f4").tobytes()
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
    }
    return glb({**document, **more}, corners)


@pytest.mark.parametrize(
    "more",
    [{"nodes": [{"mesh": 0, "children": [1]}, {"children": [0]}]}, {"nodes": [{"mesh": 9}]},
     {"scenes": [{"nodes": [7]}]},
     {"accessors": [{"bufferView": 0, "componentType": 5126, "count": -3, "type": "VEC3"}]},
     {"accessors": [{"bufferView": 0, "componentType": 5126, "count": 10**12, "type": "VEC3"}]},
     {"bufferViews": [{"buffer": 0, "byteOffset": 10**9, "byteLength": 36}]}, {"buffers": [{"byteLength": 10**12}]}],
    ids=["ring", "no mesh", "no node", "negative", "huge", "outside", "large buffer"],
)  # fmt: skip
def test_a_damaged_glb_is_one_line(tmp_path, more):
    pytest.importorskip("trimesh", reason=TRIMESH)
    from prehend_training.objects.importer import import_mesh

    (tmp_path / "a.glb").write_bytes(triangle(**more))
    with pytest.raises(AssetError, match=r"a\.glb") as error:
        import_mesh(tmp_path / "a.glb", object_id="x")
    assert "\n" not in str(error.value)


def test_a_glb_that_names_a_url_opens_no_connection(tmp_path, unasked):
    pytest.importorskip("trimesh", reason=TRIMESH)
    from prehend_training.objects.importer import import_mesh

    (tmp_path / "a.glb").write_bytes(triangle(images=[{"uri": f"{unasked}/a.png"}]))
    with pytest.raises(PrehendError):  # a triangle has no inside
        import_mesh(tmp_path / "a.glb", object_id="x")


MUG = Path(__file__).parents[3] / "config" / "objects" / "mug.yaml"


@pytest.mark.parametrize(
    ("find", "put"),
    [("mass_kg: 0.3", "mass_kg: 1e308"), ("mass_kg: 0.3", "mass_kg: [1]"), ("half_turns: []", "half_turns: [[]]"),
     ("parts:", "parts: 5\nparts_:"), ("paints:", "paints: [1]\npaints_:"), ("kind: revolve", "kind: {}"),
     ("stretch:", "stretch: 3\nstretch_:"), ("id: mug", "id: " + "[" * 100_000),
     ("profile_m:", "profile_m: [[[1]]]\nx:")],
)  # fmt: skip
def test_a_description_that_is_wrong_is_one_line(tmp_path, find, put):
    text = MUG.read_text()
    assert find in text
    (tmp_path / "mug.yaml").write_text(text.replace(find, put, 1))
    start = time.process_time()
    with pytest.raises(AssetError, match=r"mug\.yaml") as error:
        read_solid(tmp_path / "mug.yaml")
    assert "\n" not in str(error.value) and time.process_time() - start < 15
