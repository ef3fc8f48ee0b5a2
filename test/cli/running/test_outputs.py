"""What a run leaves when it is stopped, killed, or cannot write."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.cli.running.run import run
from prehend.errors import OutputError
from prehend.io.results.predictions import read_predictions

SLOW = Path(__file__).with_name("slow_run.py")
FRAMES = 40
CLOSED = "prehend run: the output cannot be written: the standard output is closed"


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for level in range(FRAMES):
        writer.write(np.full((48, 64, 3), 6 * level, np.uint8))
    writer.release()
    return path


def start(seconds, *arguments, **options):
    command = [sys.executable, str(SLOW), str(seconds), *map(str, arguments)]
    options.setdefault("preexec_fn", _default_signals)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def _default_signals():
    """A shell's background jobs, and nohup's, ignore some; so would their children."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def frames_of(path):
    try:
        return json.loads(path.read_text())["frames"]
    except (OSError, ValueError):
        return []


def wait_for(path, count):
    deadline = time.monotonic() + 60
    while len(frames_of(path)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_keeps_what_is_done_and_says_that_it_is_not_all(video, tmp_path, number):
    out = tmp_path / "out.json"
    process = start("0.01,20,/nowhere", video, "--json", out, "--overlay", tmp_path / "out")
    wait_for(out, 5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number) and "Traceback" not in err
    content = read_predictions(out)
    assert 5 <= len(content["frames"]) < FRAMES and content["complete"] is False
    capture = cv2.VideoCapture(str(tmp_path / "out" / "clip.mp4"))
    assert 0 <= len(content["frames"]) - capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 1  # the one that was being drawn
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.avi", "out", "out.json"]


def test_a_killed_run_leaves_every_frame_it_had_under_the_final_name(video, tmp_path):
    out = tmp_path / "out.json"
    out.write_text("what was there before")
    for count in (1, 7, 15):
        process = start("0.01,30,/nowhere", video, "--json", out)  # wherever it is then, it is not at its end
        wait_for(out, count)
        process.kill()
        process.communicate()
        content = json.loads(out.read_text())  # valid at every moment
        assert count <= len(content["frames"]) < FRAMES and content["complete"] is False


def test_a_finished_run_is_complete_and_leaves_nothing_beside(images, tmp_path, load):
    for _ in range(2):
        assert run([str(images), "--json", str(tmp_path / "out.json")], load) == 0
    assert read_predictions(tmp_path / "out.json")["complete"] is True
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "out.json"]


def test_a_file_broken_in_the_middle_of_a_frame_is_read_up_to_it(images, tmp_path, load):
    out = tmp_path / "out.json"
    run([str(images), "--json", str(out)], load)
    out.write_text(out.read_text()[:-200])
    content = read_predictions(out)
    assert len(content["frames"]) == 2 and content["complete"] is False


def test_links_stay_links(images, tmp_path, load):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    assert run([str(images), "--json", str(tmp_path / "link.json")], load) == 0
    assert (tmp_path / "link.json").is_symlink()
    assert len(read_predictions(tmp_path / "real.json")["frames"]) == 3


def test_fifos_and_streams_are_written_through(images, tmp_path, load):
    os.mkfifo(tmp_path / "fifo")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "fifo").read_text()))
    reader.start()
    assert run([str(images), "--json", str(tmp_path / "fifo")], load) == 0
    reader.join()
    assert len(json.loads(got[0])["frames"]) == 3 and (tmp_path / "fifo").is_fifo()
    process = start(0, images, "--json", "/dev/stdout")
    out, _ = process.communicate(timeout=60)
    assert json.loads(out[: out.index("\n]") + 1] + "]}")["schema"] == "prehend.predictions/2"


def test_json_on_the_standard_output_comes_line_by_line_while_the_video_runs(video, tmp_path):
    process = start(f"0,5,{tmp_path / 'go'}", video, "--json", "-", "--mesh")
    head = json.loads(process.stdout.readline())
    assert head["schema"] == "prehend.predictions/2" and set(head["faces"]) == {"left", "right"}
    first = json.loads(process.stdout.readline())
    assert process.poll() is None  # a line is there before the video ends
    (tmp_path / "go").touch()
    assert first["index"] == 0 and len(first["hands"][0]["vertices_m"]) == 1 + max(map(max, head["faces"]["right"]))
    out, errors = process.communicate(timeout=60)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["index"] for line in lines[:-1]] == list(range(1, FRAMES)) and lines[-1] == {"complete": True}
    assert f"{FRAMES} frames" in errors


def test_a_reader_that_leaves_ends_the_stream_quietly(video, tmp_path):
    process = start(f"0,5,{tmp_path / 'go'}", video, "--json", "-")
    process.stdout.readline()
    process.stdout.close()
    (tmp_path / "go").touch()  # most of the lines meet a stream that is closed
    assert process.wait(60) == 0 and "Traceback" not in process.stderr.read()


LIMIT = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}));"
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def limited(size, *arguments):
    """A run whose files may have so many bytes: a full disk, as a process sees it."""
    command = [sys.executable, "-c", LIMIT.format(size), str(SLOW), "0", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_ends_the_run_with_one_line_and_whole_frames(video, tmp_path, before):
    out = tmp_path / "out.json"
    if before:
        out.write_text("what was there before")
    done = limited(20_000, video, "--json", out)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "out.json cannot be written" in done.stderr.splitlines()[-1]
    if before:
        assert out.read_text() == "what was there before"
    else:
        content = json.loads(out.read_text())
        assert 1 <= len(content["frames"]) < FRAMES and content["complete"] is False
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.avi", "out.json"]


def test_a_film_that_does_not_fit_is_told_and_not_left(video, tmp_path):
    done = limited(3000, video, "--overlay", tmp_path / "out")
    assert done.returncode == 1 and "clip.mp4 cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_names_that_are_no_text_are_names(images, tmp_path):
    name = b"b\xff.jpg".decode("utf-8", "surrogateescape")
    (images / "0.png").rename(images / name)
    film = b"c\xfe.avi".decode("utf-8", "surrogateescape")
    writer = cv2.VideoWriter(str(tmp_path / "c.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "c.avi").rename(tmp_path / film)
    arguments = (images, tmp_path / film, "--json", tmp_path / "o.json", "--overlay", tmp_path / "ov")
    process = subprocess.run(
        [sys.executable, str(SLOW), "0", *map(os.fsencode, arguments)], capture_output=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    assert len(read_predictions(tmp_path / "o.json")["frames"]) == 4
    assert sum(path.is_file() for path in (tmp_path / "ov").rglob("*")) == 4


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">/dev/full"])
def test_streams_that_are_closed_or_full_cost_their_text_alone(images, tmp_path, closed):
    command = f"{sys.executable} {SLOW} 0 {images} --json {tmp_path / 'o.json'} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr and done.returncode == (0 if closed == "2>&-" else 1)
    assert len(read_predictions(tmp_path / "o.json")["frames"]) == 3


def test_results_for_a_closed_standard_output_are_an_error_at_once(images):
    command = f"exec {sys.executable} {SLOW} 0 {images} --json - >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith(CLOSED) and "Traceback" not in done.stderr


def test_a_folder_that_is_gone_is_one_line(images, tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path / 'gone'} && rmdir {tmp_path / 'gone'} && {sys.executable} {SLOW} 0 {images} --json o.json"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_an_overlay_that_is_a_folder_is_told_at_once(images, tmp_path, load, estimators):
    (tmp_path / "out" / "0.png").mkdir(parents=True)
    with pytest.raises(OutputError, match="no file"):
        run([str(images), "--overlay", str(tmp_path / "out")], load)
    assert estimators[0].frames == 1


def test_what_is_left_out_is_counted(images, load, capsys):
    for name in ("a.HEIC", "b.heic", "c.MOV"):
        (images / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    assert run([str(images)], load) == 0
    out, err = capsys.readouterr()
    assert "3 files (2 .heic, 1 .mov) left out" in err and "left out: 3 files" in out


def test_a_picture_that_libraries_stumble_over_costs_that_picture(images, tmp_path, load, capsys):
    def load_picky(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate

        def picky(*given):
            if estimator.frames == 1:
                estimator.frames += 1
                raise np.linalg.LinAlgError("Singular matrix")
            return estimate(*given)

        estimator.estimate = picky
        return estimator

    assert run([str(images), "--json", str(tmp_path / "o.json")], load_picky) == 1
    assert [frame["index"] for frame in read_predictions(tmp_path / "o.json")["frames"]] == [0, 2]
    assert "1.png: frame 1 cannot be done (Singular matrix)" in capsys.readouterr().err


def test_mirrored_pictures_are_turned_back(tmp_path, load, estimators):
    half = np.zeros((48, 64, 3), np.uint8)
    half[:, :32] = 255
    cv2.imwrite(str(tmp_path / "selfie.png"), half)

    def load_keeping(args, tracking):
        estimator = load(args, tracking)
        estimate = estimator.estimate
        estimator.seen = []

        def keep(image, *rest):
            estimator.seen.append(image)
            return estimate(image, *rest)

        estimator.estimate = keep
        return estimator

    assert run([str(tmp_path / "selfie.png"), "--mirrored"], load_keeping) == 0
    assert estimators[0].seen[0][:, :32].max() == 0 and estimators[0].seen[0][:, 32:].min() == 255


def test_with_mirrored_pictures_a_calibration_is_of_the_pictures_as_they_come(tmp_path, load):
    cv2.imwrite(str(tmp_path / "selfie.png"), np.zeros((48, 64, 3), np.uint8))
    arguments = ["--cameras", str(tmp_path / "K.json"), "--json", str(tmp_path / "out.json")]
    (tmp_path / "K.json").write_text(json.dumps({"K": [[60.0, 0, 20.0], [0, 60, 23.5], [0, 0, 1]]}))
    for mirrored, x in ((["--mirrored"], 43.0), ([], 20.0)):
        assert run([str(tmp_path / "selfie.png"), *arguments, *mirrored], load) == 0
        (frame,) = json.loads((tmp_path / "out.json").read_text())["frames"]
        assert frame["camera"]["K"][0][2] == x


def test_larger_images_are_refused_where_the_limit_is_set(images, load, capsys):
    assert run([str(images), "--max-megapixels", "0.001"], load) == 1
    assert "--max-megapixels" in capsys.readouterr().err
