"""Starting where the machine is not as it should be, and what a node says about itself."""

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prehend.ros import messages as m
from prehend.ros import start as start_module
from prehend.ros.start import log_folder_fault

HERE = Path(__file__).parent


def status(array, name: str):
    return next(s for s in array.status if s.name.endswith(f": {name}"))


@pytest.mark.parametrize("home", [None, "/proc/nowhere", "FILE"])
def test_without_a_home_the_node_runs_and_says_so(peer, start, monkeypatch, tmp_path, home):
    for name in ("ROS_LOG_DIR", "ROS_HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("HOME", str(tmp_path / "file") if home == "FILE" else home)
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    node = start("toy_node.py")
    peer.until(lambda: told or node.poll() is not None, "diagnostics")
    assert node.poll() is None
    assert "no log file is kept" in status(told[-1], "node").message


def test_the_log_folder_is_made_where_ros_looks(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "a" / "b"))
    assert log_folder_fault() == "" and (tmp_path / "a" / "b").is_dir()
    monkeypatch.delenv("ROS_LOG_DIR")
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "c"))
    assert log_folder_fault() == "" and (tmp_path / "c" / "log").is_dir()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="Linux' shared memory")
def test_a_port_left_half_made_is_told_and_ends_the_start(domain, monkeypatch):
    """What Fast DDS leaves when it is killed while it makes a port: a file of zeros."""
    port = 7411 + 250 * 150
    monkeypatch.setenv("ROS_DOMAIN_ID", "150")  # no other test is there
    files = [Path(f"/dev/shm/fastdds_port{port + 2 * n}") for n in range(2)]
    if any(file.exists() for file in files):
        pytest.skip("somebody uses domain 150")
    try:
        for file in files:
            file.write_bytes(bytes(52400))
        code = "from prehend.ros import start; start.start_ros([], 'x', longest_s=8)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    finally:
        for file in Path("/dev/shm").glob(f"*fastdds_port{port // 10}*"):
            file.unlink()
    assert done.returncode == 1
    assert files[0].name in done.stderr and "rm /dev/shm" in done.stderr and "Traceback" not in done.stderr


def test_the_watchdog_lets_go_of_what_ends_in_time():
    code = (
        "import subprocess, time\nfrom prehend.ros.start import watchdog\nwith watchdog(0.3): pass\ntime.sleep(1.6)\n"
        "assert not subprocess._active"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_teller_that_comes_too_late_says_the_same():
    """On a busy machine it may start when the process has been ended already, or has let go in time."""
    late = [sys.executable, "-c", start_module._TELLER, str(time.monotonic() - 1), "hangs"]
    for given, said in ((b"", "hangs"), (b"x", "")):
        done = subprocess.run(late, input=given, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr.decode()) == (0, said)
    early = [*late[:3], str(time.monotonic() + 3600), "hangs"]
    assert subprocess.run(early, input=b"", capture_output=True, timeout=60).stderr == b"", "it was ended by a signal"


def test_an_end_that_hangs_ends_all_the_same(domain):
    """Fast DDS's deadlock holds Python's lock, as here the C library's sleep does."""
    code = (
        "import ctypes\nfrom prehend.ros.start import end_ros, start_ros\nnode, _ = start_ros([], 'ends')\n"
        "node.destroy_node = lambda: ctypes.PyDLL(None).sleep(100)\nend_ros(node, 1.0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "does not let go for 1 s" in done.stderr and "Traceback" not in done.stderr


def test_an_end_without_a_start_is_nothing():
    code = "from prehend.ros.start import end_ros\nend_ros()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_second_node_of_the_same_name_is_told(peer, start):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    for _ in range(2):
        start("toy_node.py")
    peer.until(lambda: told and "another node is called /prehend" in status(told[-1], "node").message, "it is told")


def test_a_parameter_file_for_another_node_is_told(peer, start, tmp_path):
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    (tmp_path / "p.yaml").write_text("hands:\n  ros__parameters:\n    max_hands: 2\n")
    start("toy_node.py", "--ros-args", "--params-file", str(tmp_path / "p.yaml"))
    peer.until(lambda: told and "none for /prehend" in status(told[-1], "node").message, "it is told")


def test_reset_and_pause_are_services(peer, start):
    import numpy as np
    from std_srvs.srv import SetBool, Trigger

    from prehend.ros.conversion import convert, images

    hands, told = peer.listen("/prehend/hands", m.HAND_ARRAY), peer.listen("/diagnostics", m.DIAGNOSTICS)
    sender = peer.publisher("/image_raw", m.IMAGE)
    start("toy_node.py", "--ros-args", "-p", "camera_info_timeout_s:=0.0")
    image = m.encode(images.image_message(convert.header_message(1.0, "cam"), np.zeros((48, 64, 3), np.uint8)))
    peer.until(lambda: sender.publish(image) or hands, "an answer")
    assert peer.ask(Trigger, "reset").success
    assert peer.ask(SetBool, "pause", data=True).success
    peer.until(lambda: told and status(told[-1], "node").message == "paused", "it says so")
    count = len(told)
    peer.until(lambda: len(told) > count + 1, "what was on its way has come")
    before = len(hands)
    for _ in range(10):
        sender.publish(image)
        peer.spin(0.05)
    assert len(hands) == before
    assert peer.ask(SetBool, "pause", data=False).success
    peer.until(lambda: sender.publish(image) or len(hands) > before, "answers again")


def test_a_closed_terminal_ends_the_node_in_order_and_nohup_keeps_it(peer, start):
    """SIGHUP would leave Fast DDS's shared memory behind."""
    told = peer.listen("/diagnostics", m.DIAGNOSTICS)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # of tests under nohup the node would have that it is ignored
    node = start("toy_node.py")
    signal.signal(signal.SIGHUP, before)
    peer.until(lambda: told or node.poll() is not None, "diagnostics")
    node.send_signal(signal.SIGHUP)
    assert node.wait(60) == 0

    code = "import threading\nfrom prehend.ros import start\nstop = threading.Event()\nstart.stop_on_signals(stop)\n"
    code += "import os, signal\nos.kill(os.getpid(), signal.SIGHUP)\nassert not stop.wait(0.2)\n"
    code += "os.kill(os.getpid(), signal.SIGTERM)\nassert stop.wait(10)"
    ignored = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    done = subprocess.run([sys.executable, "-c", code], timeout=60, preexec_fn=ignored)
    assert done.returncode == 0


@pytest.mark.parametrize(("hard", "code"), [(1024, 0), (40, 2)])
def test_few_descriptors_are_raised_or_told(domain, hard, code):
    """Fast DDS says of too few that a type is not supported."""
    script = (
        f"import resource, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (24, {hard}))\n"
        "from prehend.errors import ParameterError\nfrom prehend.ros.start import end_ros, start_ros\n"
        "try: end_ros(start_ros([], 'few')[0])\nexcept ParameterError as error: print(error); sys.exit(2)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert code == 0 or "ulimit -n" in done.stdout


def test_whoever_starts_ros_leaves_it_under_the_watchdog():
    """Fast DDS can wait for itself without end: `end_ros` alone leaves, in the package, tools and examples."""
    root = HERE.parents[1]
    begin = {}
    for folder in ("src/prehend", "tools", "examples", "training/prehend_training"):
        for path in (root / folder).rglob("*.py"):
            called = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            named = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            if "rclpy.init(" in path.read_text():
                begin[path.name] = "end_ros" in named
            assert path.name == "start.py" or not called & {"try_shutdown", "shutdown_ros"}, path
            assert "rclpy.shutdown(" not in path.read_text(), path
    assert {"demo.py", "ros_listen.py", "soak.py", "bench.py", "cameras_cost.py"} <= set(begin)
    assert all(ends or name == "start.py" for name, ends in begin.items()), begin
