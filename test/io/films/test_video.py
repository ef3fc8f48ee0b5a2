"""Films: when their images are shown, who can play them, and what a kill leaves."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from prehend.errors import OutputError
from prehend.io.films import writing as video
from prehend.io.films.pyav import has_av
from prehend.io.films.times import FilmTime
from prehend.io.films.writing import VideoWriter
from prehend.io.results.overlay_files import OverlayFolder
from prehend.io.sources import open_source

needs_av = pytest.mark.skipif(not has_av(), reason="the extra 'video' is not installed")
IRREGULAR = [5.0, 5.031, 5.1, 5.1071, 5.25, 6.5, 6.537, 9.0]


def shade(level, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


def written(path, stamps, fps=10.0):
    writer = VideoWriter(path, fps)
    for number, stamp in enumerate(stamps):
        writer.write(shade(25 * number % 250), stamp)
    writer.close()
    return writer


@needs_av
def test_an_irregular_clip_keeps_its_times_and_its_length(tmp_path):
    import av

    writer = written(tmp_path / "a.mp4", IRREGULAR, fps=20.0)
    assert writer.codec in ("h264", "vp9") and writer.plays_in_browsers
    with av.open(str(tmp_path / "a.mp4")) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        assert stream.codec_context.pix_fmt == "yuv420p"  # all that browsers decode everywhere
        assert float(film.duration) / av.time_base == pytest.approx(4.0 + 1 / 20, abs=2e-3)
    times = [float(frame.pts * frame.time_base) for frame in frames]
    assert times == pytest.approx([stamp - 5 for stamp in IRREGULAR], abs=1e-3)
    levels = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert levels == pytest.approx([25 * number for number in range(8)], abs=6)
    with open_source(str(tmp_path / "a.mp4")) as again:  # and through our own reader
        assert [frame.stamp for frame in again] == pytest.approx(times, abs=1e-3)


def boxes(data):
    """Names of the outermost boxes of an MP4 file (ISO 14496-12)."""
    place = 0
    while place < len(data):
        yield data[place + 4 : place + 8].decode()
        place += int.from_bytes(data[place : place + 4], "big")


@needs_av
def test_a_finished_film_is_a_plain_one_with_an_index(tmp_path):
    written(tmp_path / "a.mp4", [n / 10 for n in range(40)])
    found = list(boxes((tmp_path / "a.mp4").read_bytes()))
    assert "moov" in found and "moof" not in found
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def cv2_is_old():
    return tuple(map(int, cv2.__version__.split(".")[:2])) < (4, 12)


@needs_av
def test_what_a_kill_leaves_can_be_played(tmp_path):
    code = f"""
import os, signal
import numpy as np
from pathlib import Path
from prehend.io.films.writing import VideoWriter
writer = VideoWriter(Path({str(tmp_path / "a.mp4")!r}), 10.0)
noise = np.random.default_rng(0)
for number in range(50):
    writer.write(noise.integers(0, 255, (96, 128, 3), np.uint8), number / 10)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [".a.part.mp4"]
    capture = cv2.VideoCapture(str(tmp_path / ".a.part.mp4"))
    stamps = []
    while capture.grab():
        stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3)
    if cv2_is_old() and len(stamps) < 35:
        pytest.skip("this OpenCV's FFmpeg gives up at the first damaged picture")
    assert len(stamps) >= 35 and stamps == pytest.approx([n / 10 for n in range(len(stamps))], abs=1e-3)


@pytest.mark.parametrize("with_av", [pytest.param(True, marks=needs_av), False])
def test_a_pause_is_shown_and_a_jump_back_begins_anew(tmp_path, monkeypatch, with_av):
    monkeypatch.setattr(video, "has_av", lambda: with_av)
    written(tmp_path / "a.mp4", [5.0, 5.1, 7.1, 7.2, 1.0, 1.1])
    with open_source(str(tmp_path / "a.mp4")) as film:
        stamps = [frame.stamp for frame in film]
    assert stamps[-1] + 0.1 == pytest.approx(2.5, abs=0.05)
    assert len(stamps) == (6 if with_av else 25)


def test_without_av_a_film_is_still_written_and_the_word_names_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "has_av", lambda: False)
    written(tmp_path / "a.mp4", [None] * 6)
    with open_source(str(tmp_path / "a.mp4")) as source, OverlayFolder(tmp_path / "out") as out:
        assert source.fps == pytest.approx(10)
        for frame in source:
            out.write(source, frame, frame.image_rgb)
        assert out.note == ""
    film = cv2.VideoCapture(str(tmp_path / "out" / "a.mp4"))
    four = int(film.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode()
    assert ("[video]" in out.note) == (four.lower() not in ("avc1", "h264"))


class TestFilmTime:
    def test_times_go_on_whatever_comes(self):
        for seed in range(20):
            stamps = np.random.default_rng(seed).normal(100, 40, 60)
            clock = FilmTime(30.0)
            times = [t for stamp in stamps if (t := clock.due(float(stamp))) is not None]
            assert times[0] == 0 and (np.diff(times) >= 1e-3 - 1e-9).all() and max(np.diff(times)) <= 60

    def test_images_without_times_follow_at_the_rate(self):
        clock = FilmTime(4.0)
        assert [clock.due(None) for _ in range(4)] == pytest.approx([0, 0.25, 0.5, 0.75])

    def test_an_image_out_of_order_is_left_out_and_one_that_jitters_is_not(self):
        clock = FilmTime(10.0)
        assert [clock.due(stamp) for stamp in (3.0, 3.1, 4.0)] == pytest.approx([0, 0.1, 1.0])
        assert clock.due(3.5) is None
        assert clock.due(3.98) == pytest.approx(1.001) and clock.due(4.2) == pytest.approx(1.2)


@pytest.mark.parametrize("with_av", [pytest.param(True, marks=needs_av), False])
def test_a_second_film_of_the_same_name_is_refused_and_costs_the_first_one_nothing(tmp_path, monkeypatch, with_av):
    monkeypatch.setattr(video, "has_av", lambda: with_av)
    first, second = VideoWriter(tmp_path / "a.mp4", 10), VideoWriter(tmp_path / "a.mp4", 10)
    first.write(shade(10), 0.0)
    with pytest.raises(OutputError, match="written by another process"):
        second.write(shade(20), 0.0)
    second.close()
    first.write(shade(30), 0.1)
    first.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    with open_source(str(tmp_path / "a.mp4")) as film:
        assert len(list(film)) == 2


def test_a_film_may_have_the_longest_name(tmp_path):
    written(tmp_path / ("v" * 251 + ".mp4"), [0.0, 0.1])
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]
