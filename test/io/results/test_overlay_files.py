import numpy as np
import pytest

from prehend.errors import OutputError
from prehend.io.films.writing import VideoWriter
from prehend.io.results.overlay_files import OverlayFolder
from prehend.io.sources import Folder, Frame, Video, open_source


def picture(level=100, size=(48, 64)):
    return np.full((*size, 3), level, np.uint8)


def images(tmp_path, *names):
    import cv2

    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), picture())
    return Folder(str(tmp_path / "in"))


def test_images_keep_their_names_and_places(tmp_path):
    source = images(tmp_path, "a.png", "sub/b.jpg", "c.tif")
    with OverlayFolder(tmp_path / "out") as out:
        for frame in source:
            out.write(source, frame, picture())
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in out.written) == ["a.png", "c.png", "sub/b.jpg"]
    assert all(p.is_file() for p in out.written)


def test_same_names_from_elsewhere_do_not_overwrite_each_other(tmp_path):
    source = images(tmp_path, "a.png")
    with OverlayFolder(tmp_path / "out") as out:
        for place in ("/one/a.png", "../two/a.png", "a.png"):
            out.write(source, Frame(picture(), place, 0), picture())
    assert [p.name for p in out.written] == ["a.png", "a_2.png", "a_3.png"]
    assert {p.parent for p in out.written} == {tmp_path / "out"}


def test_a_video_becomes_a_video_of_its_rate(tmp_path):
    writer = VideoWriter(tmp_path / "clip.mp4", 12.0)
    for level in (0, 100, 200):
        writer.write(picture(level))
    writer.close()
    source = Video(str(tmp_path / "clip.mp4"))
    with source, OverlayFolder(tmp_path / "out") as out:
        for frame in source:
            out.write(source, frame, frame.image_rgb)
    with open_source(str(out.written[0])) as again:
        assert again.fps == pytest.approx(12.0)
        assert np.allclose([frame.image_rgb.mean() for frame in again], [0, 100, 200], atol=12)  # lossy, twice


def test_odd_sizes_lose_a_line_and_later_frames_are_fitted(tmp_path):
    writer = VideoWriter(tmp_path / "clip.mp4", 10.0)
    for size in ((49, 65), (49, 65), (20, 30)):
        writer.write(picture(100, size))
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]
    with open_source(str(tmp_path / "clip.mp4")) as source:
        assert {frame.image_rgb.shape for frame in source} == {(48, 64, 3)}


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    source = images(tmp_path, "a.png")
    with pytest.raises(OutputError, match="file"):
        OverlayFolder(tmp_path / "file").write(source, Frame(picture(), "a.png", 0), picture())
    with pytest.raises(OutputError, match=r"x\.mp4 cannot be written"):
        VideoWriter(tmp_path / "gone" / "x.mp4", 10.0).write(picture())
