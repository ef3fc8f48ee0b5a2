"""A run talks to nobody and writes nothing but what it was asked for."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend.weights import available

pytestmark = pytest.mark.skipif("unihope-s" not in available(), reason="the weights unihope-s are not here")

WATCH = """
import json, os, sys
seen = []

def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        seen.append([event, repr(arguments[1:])[:80]])
    elif event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and isinstance(path, (str, bytes)) and os.fsdecode(path) != os.devnull:
            seen.append(["write", os.fsdecode(path)])

sys.addaudithook(watch)
from prehend.cli.main import main
code = main(sys.argv[2:])
report = json.dumps({"seen": seen, "code": code, "telemetry": os.environ.get("ORT_DISABLE_TELEMETRY")})
with open(sys.argv[1], "w") as file:
    file.write(report)
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def watched(home, *arguments):
    """What Python saw of a command, and what lies below its HOME afterwards."""
    report = home.parent / "report.json"
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    environment = {**bare, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCH, str(report), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_text()), sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def test_a_run_opens_no_socket_and_writes_nothing_but_its_outputs(home, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    outputs = tmp_path / "out"
    found, left = watched(
        home, "run", tmp_path / "a.png", "--json", outputs / "o.json", "--overlay", outputs / "pictures"
    )
    assert found["code"] == 0 and found["telemetry"] == "1" and left == []
    assert all(event == "write" and Path(path).is_relative_to(outputs) for event, path in found["seen"]), found
    assert sorted(p.name for p in outputs.rglob("*") if p.is_file()) == ["a.png", "o.json"]


def test_without_a_word_on_the_cache_only_graphs_are_kept_below_home(home, tmp_path, monkeypatch):
    """The tests' own PREHEND_CACHE hides where a person's cache is."""
    monkeypatch.delenv("PREHEND_CACHE")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    found, left = watched(home, "run", tmp_path / "a.png", "--json", tmp_path / "o.json")
    assert found["code"] == 0 and not [event for event, _ in found["seen"] if event != "write"]
    graphs = [name for name in left if name not in (".cache", ".cache/prehend", ".cache/prehend/graphs")]
    assert graphs and all(Path(name).match(".cache/prehend/graphs/*.onnx") for name in graphs)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_system_calls_of_a_run_show_no_socket_and_no_other_file(home, tmp_path):
    """What C and C++ open no audit hook sees: the kernel does."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / "tmp").mkdir()
    trace = tmp_path / "trace.txt"
    arguments = ["run", tmp_path / "a.png", "--json", tmp_path / "out" / "o.json", "--overlay", tmp_path / "out" / "b"]
    command = ["strace", "-f", "-qq", "-y", "-e", "trace=%network,openat,open,creat", "-o", str(trace)]
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    environment = {**bare, "HOME": str(home), "TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, "-m", "prehend.cli.main", *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("this machine lets nobody trace")
    assert done.returncode == 0, done.stderr
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text(errors="replace").splitlines() if " " in line]
    assert [call for call in calls if re.match(r"(socket|connect|sendto|sendmsg|bind)\(", call)] == []
    opened = [re.search(r'"([^"]*)"', call) for call in calls if re.search(r"O_WRONLY|O_RDWR|O_CREAT", call)]
    names = {name[1] for name in opened if name}
    allowed = (str(tmp_path / "out"), os.environ["PREHEND_CACHE"], "/dev/null", "/dev/shm/sem.", "/proc/self/")
    assert names and not [name for name in names if not name.startswith(allowed)]


@pytest.mark.parametrize("verb", ["models", "doctor"])
def test_the_other_verbs_leave_nothing_either(home, verb):
    found, left = watched(home, verb)
    assert left == [] and not [event for event, _ in found["seen"] if event != "write"]


def test_the_users_own_word_on_telemetry_counts():
    code = "import os, prehend; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs /proc")
def test_no_library_connects_behind_pythons_back(home, tmp_path):
    """C++ opens sockets that no audit hook sees: the descriptors of the process are looked at while it works."""
    code = (
        "import os, time, numpy as np\n"
        "from prehend.pipeline.load import load_estimator\n"
        "with load_estimator() as e:\n"
        "    for _ in range(20): e.estimate(np.zeros((48, 64, 3), np.uint8)); time.sleep(0.1)\n"
        "    kinds = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '3']\n"
        "print(sum(kind.startswith('socket') for kind in kinds))\n"
    )
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**bare, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "0\n" and list(home.iterdir()) == []


@pytest.mark.parametrize("home_is_there", [True, False])
def test_an_evaluation_keeps_fonts_in_our_cache_and_says_nothing_foreign(home, tmp_path, monkeypatch, home_is_there):
    """Matplotlib makes ~/.config/matplotlib and ~/.cache/matplotlib, and complains where it cannot."""
    pytest.importorskip("matplotlib")
    for name in ("PREHEND_CACHE", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    hand = {"schema": "prehend.predictions/2", "model": {"name": "x", "weights_sha256": "0"}, "complete": True}
    frame = {"source": "a.mp4", "index": 0, "stamp": 0.0, "width": 64, "height": 48, "hands": [], "timing_ms": {}}
    camera = {"K": [[60, 0, 32], [0, 60, 24], [0, 0, 1]], "estimated": True}
    frames = [{**frame, "camera": camera, "index": index, "stamp": index / 10} for index in range(3)]
    (tmp_path / "p.json").write_text(json.dumps({**hand, "frames": frames}))
    out = tmp_path / "out"
    bare = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    environment = {**bare, "HOME": str(home if home_is_there else "/proc/nowhere")}
    command = [sys.executable, "-m", "prehend.cli.main", "eval", str(tmp_path / "p.json"), "--out", str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and done.stderr == ""
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert all(name.startswith(".cache/prehend/matplotlib/") for name in left) and not (home / ".config").exists()
    text = (out / "report.html").read_text()
    assert set(re.findall(r"https?://[^\"<> ]*", text)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


@pytest.mark.parametrize("url", ["rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/x.mp4", "https://127.0.0.1:9/a.png"])
def test_an_address_is_no_source_and_nobody_is_asked(tmp_path, url):
    from prehend.errors import SourceError
    from prehend.io.sources import open_source

    with pytest.raises(SourceError, match="no such file, folder or camera"):
        open_source(url)
