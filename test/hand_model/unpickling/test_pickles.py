"""Pickles that are made to harm, and such as are only damaged."""

import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import sparse

from prehend.errors import AssetError
from prehend.hand_model import load_hand_model
from prehend.hand_model.unpickling import pickles
from prehend.hand_model.unpickling.pickles import read_plain
from prehend.hand_model.unpickling.stand_ins import ArrayUnpickler

EIGHT = b"C\x08AAAAAAAA"
FROM_BUFFER = b"\x80\x05cnumpy._core.numeric\n_frombuffer\n("


def dtype(text):
    return b"cnumpy\ndtype\n(X" + bytes([len(text), 0, 0, 0]) + text + b"K\x00K\x01tR"


OBJECTS = b"cnumpy\nndarray\n(K\x01\x85cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tRC\x08AAAAAAAAtR"


def state(dtype, flags=0, fields=None):
    return (3, "|", None, fields, None, 8, 1, flags)


def made(dtype_text, *dtype_state):
    """An array of a dtype that gets this state."""
    body = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x01\x85"
    body += b"cnumpy\ndtype\n(" + pickle.dumps(dtype_text, 2)[2:-1] + b"K\x00K\x01tR"
    if dtype_state:
        body += pickle.dumps(dtype_state[0], 2)[2:-1] + b"b"
    return b"\x80\x03" + body + b"\x89C\x08AAAAAAAAtb."


HARMFUL = {
    "bytes as pointers": b"\x80\x03}X\x01\x00\x00\x00a" + OBJECTS + b"s.",
    "pointers by state": made("O8"),
    "pointers by a structure": made("V8", state("V8", 0, {"a": (np.dtype("O"), 0)})),
    "pointers by flags": made("V8", state("V8", 63)),
    "pointers by a scalar": b"\x80\x03cnumpy.core.multiarray\nscalar\n(" + dtype(b"O") + EIGHT + b"tR.",
    "pointers from a buffer": FROM_BUFFER + EIGHT + dtype(b"O8") + b"K\x01\x85X\x01\x00\x00\x00CtR.",
    "deep tuples": b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
    "deep tuples as a key": b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "deep lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "a place of gigabytes": b"\x80\x02]r\xff\xff\xff\x7f.",
    "bytes of a terabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
    "a long number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"x.",
    "an unknown code": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x06\x00\x00\x00nosuch\x86R.",
    "a class that is changed": b"\x80\x02cnumpy\ndtype\nN}X\x07\x00\x00\x00__new__K\x01s\x86b.",
    "a function that is changed": b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.",
    "an array that grows": FROM_BUFFER + EIGHT + dtype(b"f8") + b"J\x00\x00\x00\x7f\x85X\x01\x00\x00\x00CtR.",
}  # fmt: skip


def laughs(depth=9):
    values = ["x"] * 10
    for _ in range(depth):
        values = [values] * 10
    return values


@pytest.mark.parametrize("purpose", ["label", "hand model"])
@pytest.mark.parametrize("name", HARMFUL)
def test_what_is_made_to_harm_is_refused_in_one_line(name, purpose):
    start = time.monotonic()
    with pytest.raises(AssetError) as error:
        read_plain(HARMFUL[name], purpose)
    assert "\n" not in str(error.value) and time.monotonic() - start < 20
    assert read_plain(pickle.dumps({"a": np.arange(3)}), purpose)["a"].tolist() == [0, 1, 2]  # the next one is read


def test_lists_that_name_each_other_are_no_arrays(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"v_template": laughs()}, 2))
    with pytest.raises(AssetError, match=r"a\.pkl"):
        load_hand_model(tmp_path / "a.pkl")


@pytest.mark.parametrize("shape", [(200_000, 200_000), (-3, 5), (2, 2)])
def test_sparse_matrices_are_judged_before_they_are_made(shape):
    matrix = sparse.csc_matrix(([1.0], [7], [0, 1]), shape=(10, 1))
    matrix._shape = shape
    with pytest.raises(AssetError, match="sparse matrix"):
        read_plain(pickle.dumps(matrix, 2), "hand model")


def test_no_constructor_of_a_library_can_be_reached():
    for value in ArrayUnpickler.table.values():
        assert type(value).__module__.startswith("prehend.") or value.__module__.startswith("prehend.")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_values_come_back_bit_by_bit(protocol):
    stored = {
        "f": np.array([1.5, np.nan, -np.inf], ">f4"), "i": np.arange(6).reshape(2, 3), "empty": np.zeros((0, 3)),
        "bool": np.array([True, False]), "complex": np.array([1 + 2j]), "text": np.array(["a", "bcd"]),
        "bytes": np.array([b"a", b"bc"]), "scalar": np.float32(2.5), "none": None, "raw": b"\x00\xff", "t": (1, [2.5]),
        "nan": float("nan"), "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "no bytes": b"",
    }  # fmt: skip
    read = read_plain(pickle.dumps(stored, protocol), "label")
    for name, value in stored.items():
        if isinstance(value, tuple):
            assert read[name] == value
            continue
        np.testing.assert_array_equal(read[name], value)
        assert getattr(read[name], "dtype", None) == getattr(value, "dtype", None)


def test_a_reader_that_is_killed_or_waits_for_ever_is_an_error_and_the_next_one_works(monkeypatch):
    good = pickle.dumps({"a": 1})
    assert read_plain(good, "label") == {"a": 1}
    os.kill(pickles._PickleProcess._one._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(pickles, "TIMEOUT_S", 0.5)
    with pytest.raises(AssetError, match="died or took too long"):
        read_plain(good, "label")
    monkeypatch.undo()
    assert read_plain(good, "label") == {"a": 1}


def test_a_fork_has_a_reader_of_its_own():
    code = (
        "import os, pickle; from prehend.hand_model.unpickling.pickles import read_plain, _PickleProcess\n"
        "good = pickle.dumps({'a': 1}); read_plain(good, 'label'); first = _PickleProcess._one._process.pid\n"
        "pid = os.fork()\n"
        "assert read_plain(good, 'label') == {'a': 1}\n"
        "assert (_PickleProcess._one._process.pid == first) == (pid != 0)\n"
        "os._exit(0) if pid == 0 else print(os.waitpid(pid, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0\n", done.stderr


def test_damage_is_a_value_or_one_line():
    rng = random.Random(0)
    base = pickle.dumps({"K": np.eye(3), "pose": np.arange(48.0), "n": "x", "l": [1, 2.5], "f": np.float64(3)}, 2)
    for _ in range(1500):
        data = bytearray(base)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            read_plain(bytes(data), rng.choice(["label", "hand model"]))
        except AssetError as error:
            assert "\n" not in str(error) and "died" not in str(error)


def test_a_number_type_that_is_not_read_is_no_damage():
    """Sixteen bytes a number are of one machine; a dtype that is refused is no corrupt file."""
    with pytest.raises(AssetError, match="not of plain numbers: refused") as caught:
        read_plain(pickle.dumps({"a": np.zeros(2, np.longdouble)}), "label")
    assert "corrupt" not in str(caught.value)
