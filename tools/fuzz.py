"""Throw damaged and invented input at every border of the package: `make fuzz`, or python tools/fuzz.py --help.

A case is a border and a seed; it passes when the border answers or raises an error of ours in one line, within the time
limit and the memory limit. Cases run in child processes, so that one that ends its process is a failure like any other.
State and failures are kept in the output folder, and the next run goes on behind the last seed.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fuzz_files import FILE_NAMES, FileBorders
from fuzz_input import NUMBERS, changed_value, damaged, invented

CHUNK = 200
CASE_S = 20.0
MEMORY_BYTES = 6 << 30


class Borders(FileBorders):
    """What is fuzzed, by name; each takes a case's random numbers."""

    def __init__(self, folder: Path):
        import cv2
        import numpy as np

        self.folder, self.np = folder, np
        picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3)
        self.images = [
            cv2.imencode(suffix, picture)[1].tobytes() for suffix in (".jpg", ".png", ".webp", ".bmp", ".tiff", ".ppm")
        ]
        self.images.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())
        self.picture = picture
        self._bags: dict[str, bytes] = {}
        self._films: list[tuple[str, bytes]] = []
        self.calibration = {
            "image_width": 640, "image_height": 480, "distortion_model": "plumb_bob",
            "camera_matrix": {"rows": 3, "cols": 3, "data": [500.0, 0, 320, 0, 500, 240, 0, 0, 1]},
            "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, 0, 0, 0, 0]},
        }  # fmt: skip

    def image(self, rng: random.Random) -> None:
        """A damaged image file."""
        from prehend.io.pixels.images import decode_image

        decode_image(damaged(rng.choice(self.images), rng), "x")

    def message(self, rng: random.Random) -> None:
        """A sensor_msgs/Image of any fields."""
        from prehend.io.pixels.encodings import ENCODINGS
        from prehend.io.pixels.images import image_from_message
        from prehend.io.pixels.planes import PLANES

        sizes = (0, 1, 2, 3, 7, 48, 64, 65535, 2**31, 2**32 - 1)
        message = SimpleNamespace(
            height=rng.choice(sizes), width=rng.choice(sizes), step=rng.choice((*sizes, 192, 128)),
            encoding=rng.choice([*ENCODINGS, *PLANES, "16UC1", "", "x"]), is_bigendian=rng.randrange(2),
            data=self.np.zeros(rng.choice((0, 1, 48, 9216, 100_000)), self.np.uint8),
        )  # fmt: skip
        image_from_message(message, "x")

    def camera_info(self, rng: random.Random) -> None:
        """A sensor_msgs/CameraInfo of any numbers."""
        from prehend.io.cameras.camera_info import CameraStream

        def floats(count: int, base: list[float]) -> Any:
            numbers = [*base, *([0.0] * count)][:count]
            for _ in range(rng.randrange(3)):
                if numbers:
                    numbers[rng.randrange(count)] = float(min(rng.choice(NUMBERS), 1e308))
            return self.np.array(numbers)

        sizes = (0, 1, 24, 32, 480, 640, 2**32 - 1)
        roi = SimpleNamespace(**{k: rng.choice((0, 0, 0, *sizes)) for k in ("x_offset", "y_offset", "width", "height")})
        base = [500.0, 0, 320, 0, 500, 240, 0, 0, 1]
        message = SimpleNamespace(
            k=floats(9, base), d=floats(rng.randrange(15), []),
            p=floats(12, [500.0, 0, 320, 0, 0, 500, 240, 0, 0, 0, 1]),
            width=rng.choice((640, 640, *sizes)), height=rng.choice((480, 480, *sizes)), roi=roi,
            binning_x=rng.choice((0, 0, 1, 2, 2**32 - 1)), binning_y=rng.choice((0, 0, 1, 2)),
            distortion_model=rng.choice(("plumb_bob", "equidistant", "rational_polynomial", "fisheye", "", "x")),
        )  # fmt: skip
        stream = CameraStream(rng.random() < 0.3)
        stream.add(message, rng.choice((0.0, 1.0, -1.0, 1e12)))
        camera = stream.camera(rng.choice((None, 0.0, 5.0)), rng.choice((640, 1, 320)), rng.choice((480, 1, 240)))
        if camera is not None and not self.np.isfinite(camera.K).all():
            raise AssertionError("a camera that is none")

    def side_file(self, rng: random.Random) -> None:
        """Boxes and cameras in JSON and YAML."""
        from prehend.io.cameras.side_files import read_boxes, read_cameras

        content = rng.choice((invented(rng), changed_value(self.calibration, rng)))
        text = (
            json.dumps(content).encode() if rng.random() < 0.7 else damaged(json.dumps(self.calibration).encode(), rng)
        )
        path = self.folder / rng.choice(("a.json", "a.yaml", "a.xml"))
        path.write_bytes(text)
        given = rng.choice((read_boxes, read_cameras))(path)
        if hasattr(given, "for_image"):
            given.for_image(640, 480)

    def object_file(self, rng: random.Random) -> None:
        """A description of an object."""
        from prehend.object_catalogue import default_folder, read_object

        files = sorted(default_folder().glob("*.yaml"))
        path = self.folder / "object.yaml"
        path.write_bytes(damaged(rng.choice(files).read_bytes(), rng))
        read_object(path)

    def label(self, rng: random.Random) -> None:
        """A pickle."""
        import pickle

        from prehend.hand_model.unpickling.pickles import read_plain

        np = self.np
        value = {
            "K": np.eye(3),
            "pose": np.arange(48.0),
            "name": "x",
            "list": [1, 2.5],
            "f": np.float64(3),
            "b": b"\xff",
        }
        read_plain(damaged(pickle.dumps(value, rng.randrange(6)), rng), rng.choice(("label", "hand model")))

    def predictions(self, rng: random.Random) -> None:
        """A predictions file."""
        from prehend.io.results.predictions import read_predictions

        path = self.folder / "p.json"
        frames = ",".join(f'\n{{"source":"a","index":{n},"hands":[]}}' for n in range(5))
        path.write_bytes(
            damaged(f'{{"schema": "prehend.predictions/1", "model": {{}}, "frames": [{frames}\n]}}\n'.encode(), rng)
        )
        read_predictions(path)

    def bag(self, rng: random.Random) -> None:
        """A damaged storage file of a bag, to its last image."""
        suffix = rng.choice((".mcap", ".db3"))
        path = self.folder / f"bag{suffix}"
        path.write_bytes(damaged(self._bag(suffix), rng))
        self._read(path)

    def video(self, rng: random.Random) -> None:
        """A damaged video, to its last frame."""
        import cv2

        if not self._films:
            for suffix, codec in ((".mp4", "mp4v"), (".avi", "MJPG"), (".mkv", "MJPG")):
                path = self.folder / f"good{suffix}"
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 20.0, (64, 48))
                for _ in range(5):
                    writer.write(self.picture)
                writer.release()
                self._films.append((suffix, path.read_bytes()))
        suffix, data = rng.choice(self._films)
        path = self.folder / f"film{suffix}"
        path.write_bytes(damaged(data, rng))
        self._read(path)

    def _read(self, path: Path) -> None:
        from prehend.io.sources import open_source

        with open_source(str(path), on_error=lambda error: None, max_pixels=4_000_000) as source:
            for count, _ in enumerate(source):
                if count > 1000:
                    raise AssertionError("frames without end")

    def _bag(self, suffix: str) -> bytes:
        if suffix not in self._bags:
            from rosbags.rosbag2 import StoragePlugin, Writer
            from rosbags.typesys import Stores, get_typestore

            store = get_typestore(Stores.LATEST)
            kinds = store.types
            header = kinds["std_msgs/msg/Header"](kinds["builtin_interfaces/msg/Time"](5, 0), "camera")
            image = kinds["sensor_msgs/msg/Image"](header, 48, 64, "rgb8", 0, 192, self.picture.ravel())
            plugin = StoragePlugin.MCAP if suffix == ".mcap" else StoragePlugin.SQLITE3
            with tempfile.TemporaryDirectory() as folder:
                with Writer(Path(folder) / "bag", version=9, storage_plugin=plugin) as writer:
                    connection = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=store)
                    for n in range(4):
                        writer.write(connection, n, store.serialize_cdr(image, "sensor_msgs/msg/Image"))
                self._bags[suffix] = next((Path(folder) / "bag").glob(f"*{suffix}")).read_bytes()
        return self._bags[suffix]


OWN_NAMES = ("image", "message", "camera_info", "side_file", "object_file", "label", "predictions", "bag", "video")
NAMES = (*OWN_NAMES, *FILE_NAMES)
SHARE = {"bag": 0.2, "video": 0.1, "label": 0.5, "object_file": 0.5}
"""Cases of a border for one of the others: what reads whole files takes longer."""


def outcome(run: Callable[[random.Random], None], rng: random.Random) -> str:
    """What is wrong with a case, empty for nothing."""
    from prehend.errors import PrehendError

    try:
        run(rng)
    except PrehendError as error:
        return "an error of several lines" if "\n" in str(error) else ""
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def serve(border: str, first: int, count: int) -> None:
    """Run cases in this process; the seed of each is written before it, its failure after it."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with tempfile.TemporaryDirectory() as folder:
        run: Callable[[random.Random], None] = getattr(Borders(Path(folder)), border)
        for seed in range(first, first + count):
            print(json.dumps({"seed": seed}), flush=True)
            for _ in range(2):  # a busy machine is slow once
                start = time.monotonic()
                failure = outcome(run, random.Random(f"{border} {seed}"))
                if (seconds := time.monotonic() - start) < CASE_S / 2:
                    break
            else:
                failure = failure or f"{seconds:.0f} s"
            if failure:
                print(json.dumps({"seed": seed, "failure": failure}), flush=True)


def chunk(border: str, first: int, count: int) -> tuple[int, list[dict[str, Any]]]:
    """Run cases in a child process: how many were done, and what failed."""
    command = [sys.executable, __file__, "--serve", border, str(first), str(count)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    failures: list[dict[str, Any]] = []
    try:
        out, _ = child.communicate(timeout=CASE_S * 3 + count)
        ended = "" if child.returncode == 0 else f"the process ended with {child.returncode}"
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
        ended = "no end"
    lines = [json.loads(line) for line in io.StringIO(out) if line.startswith("{")]
    failures += [{"border": border, **line} for line in lines if "failure" in line]
    last = max((line["seed"] for line in lines), default=first)
    if ended:
        failures.append({"border": border, "seed": last, "failure": ended})
    return last - first + 1, failures


def main() -> int:
    """Fuzz until the time is used up; 1 where a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="when to end (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="state and failures (default: %(default)s)")
    parser.add_argument(
        "--borders", nargs="+", default=list(NAMES), choices=NAMES, metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument(
        "--case", nargs=2, metavar=("BORDER", "SEED"), help="run one case in this process, with its traceback"
    )
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], int(args.serve[1]), int(args.serve[2]))
        return 0
    if args.case:
        with tempfile.TemporaryDirectory() as folder:
            getattr(Borders(Path(folder)), args.case[0])(random.Random(f"{args.case[0]} {args.case[1]}"))
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    note = args.out / "state.json"
    state = json.loads(note.read_text()) if note.exists() else {}
    end, failed = time.monotonic() + 60 * args.minutes, 0
    while time.monotonic() < end:
        for border in args.borders:
            entry = state.setdefault(border, {"cases": 0, "failures": 0, "seconds": 0.0})
            start = time.monotonic()
            done, failures = chunk(border, entry["cases"], max(5, int(CHUNK * SHARE.get(border, 1))))
            entry["cases"] += done
            entry["failures"] += len(failures)
            entry["seconds"] = round(entry["seconds"] + time.monotonic() - start, 1)
            failed += len(failures)
            with (args.out / "failures.jsonl").open("a") as file:
                file.writelines(json.dumps(failure) + "\n" for failure in failures)
            note.with_suffix(".part").write_text(json.dumps(state, indent=1) + "\n")
            note.with_suffix(".part").replace(note)
            if time.monotonic() > end:
                break
    print(f"{'border':12} {'cases':>9} {'failures':>9} {'minutes':>8}")
    for border, entry in state.items():
        print(f"{border:12} {entry['cases']:9} {entry['failures']:9} {entry['seconds'] / 60:8.1f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
