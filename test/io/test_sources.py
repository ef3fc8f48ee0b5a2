import cv2
import numpy as np
import pytest

from prehend.errors import SourceError
from prehend.io.films.writing import VideoWriter
from prehend.io.sources import natural_key, open_source

FPS = 25.0


def grey(level, size=(32, 48)):
    return np.full((*size, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    (root / "inner").mkdir(parents=True)
    for level, name in enumerate(["2.png", "10.png", "1.png", "inner/0.png", ".hidden.png"]):
        cv2.imwrite(str(root / name), grey(level))
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, FPS)
    for level in np.linspace(0, 255, 12):
        writer.write(grey(level))
    writer.close()
    return path


def frames(source, **options):
    with open_source(str(source), **options) as opened:
        return list(opened)


def test_an_image_is_one_frame_named_as_given(folder):
    (frame,) = frames(folder / "2.png")
    assert frame.source == str(folder / "2.png") and frame.index == 0 and frame.stamp is None
    assert frame.image_rgb.shape == (32, 48, 3)


def test_a_folder_comes_in_natural_order_and_named_from_itself(folder):
    found = frames(folder)
    assert [frame.source for frame in found] == ["1.png", "2.png", "10.png", "inner/0.png"]
    assert [frame.index for frame in found] == [0, 1, 2, 3]
    assert [frame.image_rgb[0, 0, 0] for frame in found] == [2, 0, 1, 3]
    assert frames(folder, prefixed=True)[0].source == f"{folder.as_posix()}/1.png"


def test_one_corrupt_image_does_not_stop_a_folder_that_reports(folder):
    (folder / "2.png").write_bytes(b"no image")
    told = []
    assert [frame.index for frame in frames(folder, on_error=told.append)] == [0, 2, 3]
    assert len(told) == 1 and "2.png" in str(told[0])
    with pytest.raises(SourceError, match=r"2\.png"):
        frames(folder)


def test_a_video_gives_all_frames_at_its_rate(video):
    with open_source(str(video)) as source:
        assert source.is_sequence and source.length == 12
        found = list(source)
    assert [frame.index for frame in found] == list(range(12))
    assert {frame.source for frame in found} == {str(video)}
    assert np.allclose(np.diff([frame.stamp for frame in found]), 1 / FPS, atol=1e-3)
    levels = [frame.image_rgb.mean() for frame in found]
    assert np.allclose(levels, np.linspace(0, 255, 12), atol=6)


def test_a_video_that_breaks_off_gives_what_it_has_and_says_so(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (48, 32))
    for level in range(40):
        writer.write(grey(5 * level))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    told = []
    found = frames(path, on_error=told.append)
    assert 0 < len(found) < 40
    assert len(told) == 1 and f"after {len(found)} of 40" in str(told[0])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("clip.mp4", b"", "empty"),
        ("clip.mp4", b"x" * 1000, "not a video"),
        ("photo.jpg", b"", "empty"),
        ("photo.jpg", b"x" * 1000, "not an image"),
        ("notes.txt", b"text", "unknown kind"),
        ("run.db3", b"x" * 1000, "not a rosbag"),
        ("run.mcap", b"x" * 1000, "not a rosbag"),
        ("run.bag", b"x" * 1000, "not a rosbag"),
    ],
)
def test_files_that_cannot_be_read_are_named_in_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=says) as error:
        frames(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_nothing_there_and_nothing_in_it(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        open_source(str(tmp_path / "gone"))
    with pytest.raises(SourceError, match="has no images"):
        open_source(str(tmp_path))
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"by name.*a\.mp4"):
        open_source(str(tmp_path))


def test_a_camera_that_is_not_there_says_which_are():
    with pytest.raises(SourceError, match=r"camera 97 cannot be opened .*devices found"):
        open_source("97")


def test_numbers_sort_as_numbers():
    names = [f"frame{number}.png" for number in range(25)]
    assert sorted(set(names), key=natural_key) == names


def test_linked_folders_are_read_and_each_folder_once(tmp_path):
    picture = np.full((8, 8, 3), 90, np.uint8)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "elsewhere" / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "set" / "b.png"), picture)
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "back").symlink_to(tmp_path / "set")
    assert [frame.source for frame in frames(tmp_path / "set")] == ["b.png", "linked/a.png"]


@pytest.mark.parametrize("name", ["@eaDir/1.png", "__MACOSX/._1.png", "#recycle/2.png", "$RECYCLE.BIN/3.png"])
def test_what_systems_put_among_the_images_is_not_read(tmp_path, name):
    """Thumbnails of a storage server would count every photograph twice."""
    for path in (tmp_path / "a.png", tmp_path / "._a.png", tmp_path / name):
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), grey(50))
    assert [frame.source for frame in frames(tmp_path)] == ["a.png"]


def test_digits_of_all_kinds_are_sorted(tmp_path):
    """Some are digits that are no numbers for Python."""
    for name in ("a\u00b21.png", "a3.png", "\u0663.png", "\u2460.png", "\uff19.png"):
        cv2.imwrite(str(tmp_path / "x.png"), grey(50))
        (tmp_path / "x.png").rename(tmp_path / name)
    assert len(frames(tmp_path)) == 5
