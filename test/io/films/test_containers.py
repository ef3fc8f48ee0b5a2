"""Outermost structures of video files, made by hand: whole ones are whole, and whatever is cut off one is missed."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.io.films.containers import counts_frames, is_cut_off


def box(name: bytes, body: bytes, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, name, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), name) + body


def segment(body: bytes, known: bool = True) -> bytes:
    """Matroska: a head, and a segment whose size has 8 bytes."""
    size = (1 << 56) - 1 if not known else len(body)
    return b"\x1a\x45\xdf\xa3\x84head" + b"\x18\x53\x80\x67\x01" + size.to_bytes(7, "big") + body


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"AVI " + body


WHOLE = {
    "mp4": box(b"ftyp", b"isom" * 4) + box(b"mdat", bytes(300)) + box(b"moov", bytes(40)),
    "large mp4": box(b"ftyp", b"isom" * 4) + box(b"mdat", bytes(300), wide=True),
    "fragments": box(b"ftyp", b"isom" * 4) + 3 * (box(b"moof", bytes(20)) + box(b"mdat", bytes(90))),
    "avi": riff(bytes(200)),
    "mkv": segment(bytes(200)),
}  # fmt: skip


@pytest.fixture
def cut(tmp_path):
    def asked(data: bytes) -> bool:
        path = tmp_path / "film"
        path.write_bytes(data)
        return is_cut_off(path)

    return asked


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_are_whole_also_with_something_behind_them(cut, kind):
    assert not cut(WHOLE[kind])
    assert not cut(WHOLE[kind] + bytes(64)), "room that was taken before it was needed"
    assert not cut(WHOLE[kind] + b"\xff\xd8\xff\xe0 a photograph behind the film"), "somebody's notes"


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(WHOLE)), st.integers(1, 80))
def test_what_lacks_its_end_is_cut_off(tmp_path_factory, kind, missing):
    """Within the last box: between two of them nobody can tell."""
    path = tmp_path_factory.mktemp("cut") / "film"
    last = {"mp4": 48, "large mp4": 316, "fragments": 98, "avi": 200, "mkv": 200}[kind]
    gone = 1 + missing % (last - 9)
    path.write_bytes(WHOLE[kind][:-gone])
    assert is_cut_off(path)


def test_of_live_recordings_and_other_files_nothing_can_be_told(cut, tmp_path):
    assert not cut(segment(bytes(50), known=False)), "the size is unknown until the recording ends"
    assert not cut(b"") and not cut(b"\x00" * 40) and not cut(b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert not cut(b"\x1a\x45\xdf\xa3" + bytes(5000)) and not is_cut_off(tmp_path / "gone.mp4")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from([b"\0\0\0\x18ftyp", b"RIFF", b"\x1a\x45\xdf\xa3", b"\0\0\0\1mdat"]), st.binary(max_size=120))
def test_no_bytes_are_too_odd(tmp_path_factory, head, tail):
    path = tmp_path_factory.mktemp("odd") / "film"
    path.write_bytes(head + tail)
    assert is_cut_off(path) in (True, False)


@pytest.mark.parametrize(("name", "counts"), [("a.mp4", True), ("b.MOV", True), ("c.mkv", False), ("d.webm", False)])
def test_some_containers_count_their_frames(tmp_path, name, counts):
    assert counts_frames(tmp_path / name) == counts
