import ast
import io
import json
import os
import pickle
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend import documents
from prehend.documents import parse_json, parse_yaml, read_arrays, read_document, read_text, too_deep
from prehend.errors import AssetError, SourceError


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, "[" * 70 + "]" * 70])
def test_depth_is_counted_before_anything_recurses(parse, text):
    with pytest.raises(SourceError, match="x: ") as error:
        parse(text, "x")
    assert "\n" not in str(error.value)


def test_aliases_that_unfold_to_gigabytes_are_refused_at_once():
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    start = time.process_time()
    with pytest.raises(SourceError, match="unfolds"):
        parse_yaml("\n".join(lines), "bomb")
    assert time.process_time() - start < 5
    with pytest.raises(SourceError, match="unfolds"):
        parse_yaml("a: &a [*a]", "ring")
    assert parse_yaml("a: &a [1, 2]\nb: *a", "x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "text", ["a: !!timestamp x", "a: 1\na: 2", "? [1]\n: 2", f"a: {'9' * 5000}", "a: !!python/object:os.x {}", "\0"]
)
def test_yaml_that_its_parser_stumbles_over_is_one_line(text):
    with pytest.raises(SourceError, match=r"^x: "):
        parse_yaml(text, "x")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "", "9" * 5000, "nul"])
def test_json_that_is_none_is_one_line(text):
    with pytest.raises(SourceError, match=r"^x: "):
        parse_json(text, "x")


def test_the_first_document_counts_and_opencvs_head_is_known():
    assert parse_yaml("---\n---\na: 1\n---\nb: 2\n", "x") == {"a": 1}
    assert parse_yaml("%YAML:1.0\n---\nM: !!opencv-matrix {rows: 1, cols: 1, dt: d, data: [2.]}", "x") == {
        "M": {"rows": 1, "cols": 1, "dt": "d", "data": [2.0]}
    }


def test_only_regular_files_of_a_sane_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "large.json").write_bytes(b" " * 2000)
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe{")
    for name, says in (("fifo.json", "no regular file"), ("gone.json", "no such file"), ("latin.json", "UTF-8")):
        with pytest.raises(AssetError, match=says):
            read_document(tmp_path / name, AssetError)
    with pytest.raises(SourceError, match="larger"):
        read_text(tmp_path / "large.json", limit=1000)
    with pytest.raises(SourceError, match="folder"):
        read_document(tmp_path)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from("[]{}:,&*!-?|>\"'#%@ \n\t01aé~."), max_size=60))
def test_any_text_is_read_or_refused(text):
    for parse in (parse_json, parse_yaml):
        try:
            parse(text, "x")
        except SourceError as error:
            assert "\n" not in str(error)


def test_the_suffix_says_which_and_otherwise_the_first_letter(tmp_path):
    for name, text in (("a.json", '{"k": 1}'), ("a.yaml", "k: 1"), ("a.txt", '{"k": 1}'), ("a.cfg", "k: 1")):
        (tmp_path / name).write_text(text)
        assert read_document(tmp_path / name) == json.loads('{"k": 1}')


def test_arrays_are_read_as_they_were_saved_and_nothing_is_unpickled(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "name": np.array("hand"), "empty": np.zeros((0, 3), np.int8)}
    np.savez(tmp_path / "x.npz", **arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    np.savez(tmp_path / "objects.npz", bad=np.array([{}], object))
    with pytest.raises(AssetError, match=r"objects\.npz cannot be read: corrupt, or no \.npz of plain arrays"):
        read_arrays(tmp_path / "objects.npz", AssetError)


@pytest.mark.parametrize("name", ["gone.npz", "folder.npz", "one.npy", "text.npz", "empty.npz", "pickle.npz"])
def test_what_is_no_archive_is_one_line_that_gives_no_bad_advice(tmp_path, name):
    (tmp_path / "folder.npz").mkdir()
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("no zip")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(SourceError, match=f"{name} cannot be read: ") as told:
        read_arrays(tmp_path / name)
    assert "\n" not in str(told.value) and "pickle" not in str(told.value).removeprefix(str(tmp_path / name))


def write_npy(path, header, data=b""):
    """An archive of one member with a header of one's own."""
    text = repr(header).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)


def test_arrays_that_unpack_to_more_than_is_allowed_are_not_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(1 << 20), b=np.zeros(1 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 16
    with pytest.raises(AssetError, match=r"bomb\.npz cannot be read: its arrays unpack to more than 12 mib"):
        read_arrays(tmp_path / "bomb.npz", AssetError, limit=12 << 20)
    assert read_arrays(tmp_path / "bomb.npz", limit=17 << 20)["b"].size == 1 << 20


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 31, 1 << 31, 1 << 31), (9,)])
def test_a_header_that_claims_more_than_is_there_is_refused_before_room_is_made(tmp_path, shape):
    write_npy(tmp_path / "claims.npz", {"descr": "<f8", "fortran_order": False, "shape": shape}, bytes(64))
    with pytest.raises(SourceError, match="corrupt"):
        read_arrays(tmp_path / "claims.npz")
    write_npy(tmp_path / "true.npz", {"descr": "<f8", "fortran_order": False, "shape": (8,)}, bytes(64))
    assert not read_arrays(tmp_path / "true.npz")["a"].any()


def test_an_archive_whose_bytes_are_changed_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(100.0))
    whole = path.read_bytes()
    for changed in (whole[:300], whole[:-10], whole[:250] + bytes([whole[250] ^ 1]) + whole[251:]):
        path.write_bytes(changed)
        with pytest.raises(SourceError, match=r"x\.npz cannot be read: corrupt"):
            read_arrays(path)


def test_a_fifo_is_no_archive_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(SourceError, match=r"pipe\.npz cannot be read: no regular file"):
        read_arrays(tmp_path / "pipe.npz")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: 1\nb: [1, 2]", {"a": 1, "b": [1, 2]}),
        ("# only a comment\n", None),
        ("", None),
        ("a: &x {b: 1}\nc: {<<: *x, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("%YAML:1.0\na: !!opencv-matrix\n  rows: 1\n  cols: 2\n  dt: d\n  data: [1., 2.]", None),
    ],
)
def test_yaml_is_read_as_people_write_it(text, content):
    found = parse_yaml(text, "x")
    assert found == content if content is not None or not text.startswith("%") else found["a"]["data"] == [1.0, 2.0]


@pytest.mark.parametrize("text", ["{a: 1, a: 2}", "a:\n  b: 1\n  b: 2", "- {x: 1}\n- {y: 1, y: 1}"])
def test_a_key_that_stands_twice_is_refused_wherever_it_stands(text):
    with pytest.raises(SourceError, match="stands there twice"):
        parse_yaml(text, "x")


@pytest.mark.parametrize("depth", [63, 64, 65])
def test_depth_is_bounded_alike_in_both_languages(depth):
    text = "[" * depth + "1" + "]" * depth
    for parse in (parse_json, parse_yaml):
        if depth <= 64:
            assert not too_deep(parse(text, "x"), 64)
        else:
            with pytest.raises(SourceError, match="nested deeper than 64"):
                parse(text, "x")


def test_errors_are_of_the_kind_and_the_name_that_was_asked_for(tmp_path):
    with pytest.raises(AssetError, match=r"^the rig: no rig at all"):
        parse_json("{", "the rig", AssetError, "no rig at all")
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_document(tmp_path / "bom.json") == [1], "a byte order mark is no content"


def npz(path, shape, size):
    """An archive of one array that says this shape and unfolds to so many bytes of zeros."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as entry:
        entry.write(head.getvalue())
        for _ in range(size >> 24):
            entry.write(bytes(1 << 24))


def test_archives_that_unfold_to_gigabytes_are_refused_at_once(tmp_path):
    npz(tmp_path / "claim.npz", (1 << 38,), 0)
    with pytest.raises(SourceError, match="cannot be read"):
        read_arrays(tmp_path / "claim.npz")
    npz(tmp_path / "bomb.npz", (3 << 22,), 3 << 24)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError, match="cannot be read"):
        read_arrays(tmp_path / "bomb.npz", limit=1 << 25)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"\n <!DOCTYPE HTML>", "web page"), (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"PK\x03\x04", "zip"), (b"%PDF-1.4", "PDF"), (b"\x89PNG\r\n", None), (b"{}", None), (b"", None),
    ],
)  # fmt: skip
def test_what_is_often_met_under_another_name_is_named(head, says):
    found = documents.disguise(head)
    assert found is None if says is None else says in found


_READ_RAW = frozenset(
    (
        "load", "loads", "load_all", "safe_load", "full_load", "unsafe_load", "load_file", "safe_open", "loadtxt",
        "genfromtxt", "fromfile", "memmap", "read_text", "read_bytes", "loadmat",
    )
)  # fmt: skip
_ALLOWED = {
    "documents.py": "the bounded readers themselves",
    "hand_model/unpickling/pickles.py": "a pickle, at most 512 MiB; the answers of its reader",
    "hand_model/unpickling/reader.py": "within the process that may die",
    "mesh_files.py": "files beside a mesh, each at most 256 MiB; the answer of the process that reads",
    "io/pixels/images.py": "an image, once its size is bounded",
    "io/results/predictions.py": "text of `read_text`",
    "eval/photographs/labels.py": "text of `read_text`",
    "weights/__init__.py": "once the manifest's sha256 fits",
    "export/graph.py": "graphs of weights, or those that were just made",
    "export/engine.py": "a file that was just made",
    "backends/onnx_cache.py": "our own cache; /proc/cpuinfo",
    "ros/topics/domains.py": "/proc/net/udp of the kernel",
    "backends/tensorrt_.py": "an engine, once its sha256 fits",
    "backends/tensorrt_api.py": "what TensorRT answers",
    "cli/evaluation/predict.py": "our own settings and predictions",
    "cli/evaluation/job.py": "predictions that were read a moment before",
    "view/server.py": "our own pages; a request of bounded length",
    "ros/messages.py": "our own definitions",
    "ros/start.py": "/proc",
}  # fmt: skip


def test_files_of_people_are_read_by_bounded_readers_alone():
    """Whoever reads a file as it comes believes its size, its depth, and that it is a file."""
    root = Path(documents.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "attr", getattr(called, "id", ""))
            owner = ast.unparse(called.value) if isinstance(called, ast.Attribute) else name
            if name in _READ_RAW and (owner != name or name in ("load_file", "safe_open")) and owner != "graph":
                found.add(path.relative_to(root).as_posix())
    assert found == set(_ALLOWED), sorted(found ^ set(_ALLOWED))
