"""Videos whose containers say one thing and whose frames another."""

import struct
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prehend.errors import OutputError, SourceError
from prehend.io.films.writing import VideoWriter
from prehend.io.rates import FrameTimes, believed_rate, measured_rate
from prehend.io.results.overlay_files import OverlayFolder
from prehend.io.sources import open_source

LEVELS = np.linspace(0, 255, 24).astype(int)
STEPS = (33, 34, 41, 67, 50, 29)


def pictures(size=(32, 48)):
    return [np.full((*size, 3), level, np.uint8) for level in LEVELS]


def times(start=0):
    return (start + np.cumsum([0, *(STEPS[n % 6] for n in range(len(LEVELS) - 1))])).tolist()


@pytest.fixture
def write_mkv():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("films", Path(__file__).with_name("films.py"))
    films = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(films)
    return films.write_mkv


def overlaid(source, folder):
    """Length of the overlay video [s], and what it shows."""
    with OverlayFolder(folder) as out:
        for frame in source:
            out.write(source, frame, frame.image_rgb)
    plain = out.written[0].rename(folder / "plain.mp4")  # OpenCV dies of names that are not UTF-8
    capture = cv2.VideoCapture(str(plain))
    rate, shown = capture.get(cv2.CAP_PROP_FPS), []
    while (read := capture.read())[0]:
        shown.append(float(read[1].mean()))
    return len(shown) / rate, rate, shown


@pytest.mark.parametrize("options", [{"live": True}, {"duration_ms": 960.0}, {"duration_ms": 9000.0}, {}])
@pytest.mark.parametrize("start", [0, 3000])
def test_a_whole_file_keeps_its_time_and_is_never_called_cut_off(tmp_path, write_mkv, options, start):
    path = write_mkv(tmp_path / "a.mkv", pictures(), times(start), **options)
    with open_source(str(path)) as source:  # without a handler an error would be raised
        frames = list(source)
    stamps = [frame.stamp for frame in frames]
    assert np.allclose(np.diff(stamps), np.diff(times()) / 1e3, atol=2e-3)
    with open_source(str(path)) as source:
        assert 15 < source.fps < 40
        seconds, rate, shown = overlaid(source, tmp_path / "out")
    assert seconds == pytest.approx(stamps[-1] - stamps[0], abs=0.12)
    for level, stamp in zip(LEVELS, stamps, strict=True):  # each frame is shown when it was taken
        place = (stamp - stamps[0]) * rate
        near = shown[max(0, round(place) - 2) : round(place) + 3]
        assert min(abs(value - level) for value in near) < 9


def test_a_file_that_is_cut_off_is_told(tmp_path, write_mkv):
    path = write_mkv(tmp_path / "a.mkv", pictures(), times())
    path.write_bytes(path.read_bytes()[:-3000])
    told = []
    with open_source(str(path), on_error=told.append) as source:
        count = len(list(source))
    assert 0 < count < len(LEVELS) and f"breaks off after {count}" in str(told[0])


def test_an_mp4_without_its_end_says_so(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", 20.0)
    for picture in pictures():
        writer.write(picture)
    writer.close()
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError, match="cut off before its index"):
        open_source(str(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("stored", "display", "square"),
    [((32, 24), (64, 24), (64, 24)), ((32, 24), (32, 48), (32, 48)), ((36, 24), (32, 24), (36, 27)),
     ((32, 24), (32, 24), None)],
    ids=["2:1", "1:2", "8:9", "1:1"],
)  # fmt: skip
def test_frames_come_with_square_pixels(tmp_path, write_mkv, stored, display, square):
    path = write_mkv(tmp_path / "a.mkv", pictures(stored[::-1]), times(), display=display)
    with open_source(str(path)) as source:
        frame = next(iter(source))
    assert frame.image_rgb.shape[1::-1] == (square or stored)
    assert frame.stored_size == (stored if square else None)
    assert any("not square" in note for note in source.notes) == (square is not None)


NAMES = ["clip:1.mkv", "http:x.mkv", "img%03d.mkv", "a?b#c.mkv", "ünï.mkv", "a b.mkv", "-i.mkv"]


@pytest.mark.parametrize("name", [*NAMES, b"b\xff.mkv".decode("utf-8", "surrogateescape")])
def test_a_name_is_a_name_and_no_url(tmp_path, write_mkv, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_mkv(tmp_path / "plain.mkv", pictures(), times()).rename(tmp_path / name)
    with open_source(name) as source:
        seconds, _, shown = overlaid(source, tmp_path / "out")
    assert len(shown) >= len(LEVELS) and seconds > 0.9
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_playlist_under_a_videos_name_opens_no_connection(tmp_path, unasked):
    url = f"{unasked}/x.ts"
    for name, text in (
        ("a.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{url}\n"),
        ("b.mp4", f"ffconcat version 1.0\nfile {url}\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(SourceError):
            open_source(str(tmp_path / name))


def test_a_frame_larger_than_the_limit_is_refused(tmp_path, write_mkv):
    path = write_mkv(tmp_path / "a.mkv", pictures(), times())
    with pytest.raises(SourceError, match="megapixels"):
        open_source(str(path), max_pixels=1000)


def test_rates_are_measured_and_claims_are_compared():
    even = [n / 30 for n in range(30)]
    jittered = [n / 30 + 0.004 * (-1) ** n for n in range(30)]
    assert measured_rate(even) == pytest.approx(30) and measured_rate([1.0]) is None
    assert believed_rate(30.0, jittered) == 30.0 and believed_rate(1000.0, even) == pytest.approx(30)
    assert believed_rate(None, even) == pytest.approx(30) and believed_rate(25.0, []) == 25.0
    assert believed_rate(0.0, []) is None


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: __import__("os").mkfifo(p)], ids=["folder", "fifo"])
def test_what_is_no_file_is_told_before_the_video_is_done(tmp_path, make):
    make(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="no file"):
        VideoWriter(tmp_path / "a.mp4", 10.0).write(np.zeros((32, 48, 3), np.uint8))


# what metadata say of the images


ONE = 1 << 16
MATRICES = {
    "upright": ((1, 0, 0, 1), ["RG", ".."]),
    "turned": ((0, 1, -1, 0), [".R", ".G"]),
    "upside down": ((-1, 0, 0, -1), ["..", "GR"]),
    "across": ((-1, 0, 0, 1), ["GR", ".."]),
    "down": ((1, 0, 0, -1), ["..", "RG"]),
    "transpose": ((0, 1, 1, 0), ["R.", "G."]),
    "transverse": ((0, -1, -1, 0), [".G", ".R"]),
}


def write_mp4(path, matrix=(1, 0, 0, 1), more=b""):
    """Red and green above, grey below; `matrix` is that of its track, `more` lies at the end of its index."""
    picture = np.full((48, 64, 3), 40, np.uint8)
    picture[:24, :32], picture[:24, 32:] = (30, 30, 230), (30, 230, 30)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 48))
    for _ in range(6):
        writer.write(picture)
    writer.release()
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (value * ONE for value in matrix)
    place = (max(-a, -c, 0) * 64 or max(0, -c) * 48, max(-b, -d, 0) * 48)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, *place, 1 << 30)
    moov = data.find(b"moov") - 4
    assert moov + struct.unpack_from(">I", data, moov)[0] == len(data)
    struct.pack_into(">I", data, moov, len(data) - moov + len(more))
    path.write_bytes(bytes(data) + more)
    return path


def corners(image):
    """R and G where the quarters of an image are red and green."""
    height, width = image.shape[:2]
    rows = [[image[y, x] for x in (width // 4, 3 * width // 4)] for y in (height // 4, 3 * height // 4)]
    return ["".join("RG"[int(pixel.argmax())] if pixel.max() > 150 else "." for pixel in row) for row in rows]


@pytest.mark.parametrize("name", MATRICES)
def test_frames_come_as_players_show_them_also_mirrored_ones(tmp_path, name):
    matrix, shown = MATRICES[name]
    with open_source(str(write_mp4(tmp_path / "a.mp4", matrix))) as source:
        frames, notes = list(source), " ".join(source.notes)
    assert corners(frames[0].image_rgb) == shown
    mirrors = np.linalg.det(np.reshape(matrix, (2, 2))) < 0
    assert ("--mirrored turns them back" in notes) == mirrors
    assert frames[0].image_rgb.shape[:2] == ((64, 48) if matrix[0] == 0 else (48, 64))


def box(name, data):
    return struct.pack(">I4s", 8 + len(data), name) + data


def test_slow_motion_is_told_and_ordinary_films_are_not(tmp_path):
    """Android writes the rate of the camera beside that of the film."""

    def phone(rate):
        names = [b"com.android.version", b"com.android.capture.fps"]
        keys = b"".join(struct.pack(">I4s", 8 + len(name), b"mdta") + name for name in names)
        values = [(1, b"15"), (23, struct.pack(">f", rate))]
        items = b"".join(
            box(struct.pack(">I", number), box(b"data", struct.pack(">II", kind, 0) + value))
            for number, (kind, value) in enumerate(values, start=1)
        )
        return box(b"meta", box(b"keys", struct.pack(">II", 0, 2) + keys) + box(b"ilst", items))

    for rate, told in ((240.0, True), (30.0, False), (1.5, True)):
        with open_source(str(write_mp4(tmp_path / "a.mp4", more=phone(rate)))) as source:
            assert any(f"taken at {rate:g} images a second" in note for note in source.notes) == told


def test_a_whole_sphere_is_told(tmp_path):
    with open_source(str(write_mp4(tmp_path / "a.mp4", more=box(b"free", box(b"sv3d", b""))))) as source:
        assert "spherical" in " ".join(source.notes)


def test_an_avi_out_of_a_pipe_is_whole(tmp_path):
    """FFmpeg cannot go back there: all ones for the length, a billion for the count."""
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for picture in pictures((48, 64)):
        writer.write(picture)
    writer.release()
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    struct.pack_into("<I", data, data.find(b"avih") + 24, 1 << 30)
    struct.pack_into("<I", data, data.find(b"strh") + 40, 1 << 30)
    path.write_bytes(data)
    with open_source(str(path)) as source:  # without a handler an error would be raised
        assert source.length is None
        assert len(list(source)) == len(LEVELS)


# stamps that do not rise


def test_files_behind_each_other_keep_the_time_of_each(tmp_path, write_mkv):
    stamps = [33 * n for n in range(12)] + [100 * n for n in range(12)]
    with open_source(str(write_mkv(tmp_path / "a.mkv", pictures(), stamps))) as source:
        steps = np.diff([frame.stamp for frame in source])
    assert np.allclose(steps[:11], 0.033, atol=2e-3)
    assert np.allclose(steps[12:], 0.1, atol=2e-3)


def test_a_stamp_that_comes_twice_moves_no_other(tmp_path, write_mkv):
    stamps = [33 * n for n in range(24)]
    stamps[5] = stamps[4]
    with open_source(str(write_mkv(tmp_path / "a.mkv", pictures(), stamps))) as source:
        read = np.array([frame.stamp for frame in source])
    others = np.arange(24) != 5
    assert np.allclose(read[others], np.array(stamps)[others] / 1e3, atol=1e-6)
    assert (np.diff(read) > 0).all()


def test_two_thousand_frames_a_second_last_as_long_as_they_did(tmp_path, write_mkv):
    """Matroska counts milliseconds: two of these frames share one."""
    with open_source(str(write_mkv(tmp_path / "a.mkv", pictures(), [n // 2 for n in range(24)]))) as source:
        read = [frame.stamp for frame in source]
    assert read[-1] - read[0] == pytest.approx(23 / 2000, abs=1e-3)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), st.booleans())
def test_stamps_rise_whatever_the_file_says(raw, timed):
    times = FrameTimes(30.0, timed)
    read = [times.next(stamp) for stamp in raw]
    assert all(a < b for a, b in pairwise(read)) or max(map(abs, read)) > 1e9


def test_the_clock_of_a_transport_stream_wraps_and_images_are_out_of_order(tmp_path):
    """33 bits of 90 kHz last 26.5 hours; B-frames are stored in another order than they are shown."""
    av = pytest.importorskip("av")
    path = tmp_path / "a.ts"
    with av.open(str(path), "w", format="mpegts") as film:
        stream = film.add_stream("libx264", rate=10, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90000)
        for number in range(20):
            shade = np.full((48, 64, 3), 12 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round((95443.0 + number / 10) * 90000), Fraction(1, 90000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    with open_source(str(path)) as source:
        frames = list(source)
    assert [frame.stamp for frame in frames] == pytest.approx([number / 10 for number in range(20)], abs=1e-3)
    assert [frame.image_rgb.mean() for frame in frames] == pytest.approx([12 * number for number in range(20)], abs=4)


def two_streams(path, kinds):
    """An MP4 file of tracks of images ("video") and of silence ("sound")."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as film:
        streams = []
        for kind in kinds:
            if kind == "sound":
                stream = film.add_stream("aac", rate=16000)
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.rate = 16000
                frame.pts, frame.time_base = 0, Fraction(1, 16000)
            else:
                stream = film.add_stream("mpeg4", rate=10)
                stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
                frame = frame.reformat(format="yuv420p")
                frame.pts, frame.time_base = 0, Fraction(1, 10)
            streams.append((stream, frame))
        for stream, frame in streams:
            film.mux(stream.encode(frame))
            film.mux(stream.encode(None))
    return str(path)


def test_a_second_track_of_images_is_told(tmp_path):
    """Two lenses in one file, or a preview beside the film: only one of them is read."""
    with open_source(two_streams(tmp_path / "two.mp4", ("video", "video"))) as source:
        assert len(list(source)) == 1 and "2 tracks of images" in " ".join(source.notes)
    with open_source(two_streams(tmp_path / "one.mp4", ("video", "sound"))) as source:
        assert not source.notes


def test_sound_alone_and_what_is_no_film_are_named(tmp_path):
    with pytest.raises(SourceError, match="only sound"):
        open_source(two_streams(tmp_path / "sound.mp4", ("sound",)))
    (tmp_path / "page.mp4").write_bytes(b"<!DOCTYPE html><html>")
    with pytest.raises(SourceError, match="no video, it is a web page"):
        open_source(str(tmp_path / "page.mp4"))
