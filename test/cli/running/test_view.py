"""`prehend view` as a person starts it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest

from prehend.cli.main import main
from prehend.cli.running.view import run
from prehend.weights import available


@pytest.fixture
def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_that_is_taken_is_wrong_use(images, port, load, monkeypatch, capsys):
    monkeypatch.setattr(run, "__defaults__", (load,))
    assert main(["view", str(images), "--port", str(port), "--no-browser"]) == 2
    line = capsys.readouterr().err
    assert f"port {port} is taken" in line and line.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["/nowhere.mp4"], 1, "no such file"),
        (["x.mp4", "--port", "70000"], 2, "above 65535"),
        (["x.mp4", "--rerun", "x.mp4"], 2, "SOURCE goes before --rerun"),
        ([], 2, "SOURCE"),
    ],
)
def test_bad_use_is_one_line(argv, code, words, capsys):
    try:
        ended = main(["view", *argv])
    except SystemExit as error:
        ended = error.code
    said = capsys.readouterr().err
    assert ended == code and words in said and said.count("\n") == 1


@pytest.mark.skipif("unihope-s" not in available(), reason="the weights unihope-s are not here")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_whole_chain_in_the_real_process_until_it_is_stopped(images, number, code):
    cv2.imwrite(str(images / "0.png"), np.full((96, 128, 3), 90, np.uint8))
    command = [sys.executable, "-m", "prehend.cli.main", "view", str(images), "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c
    )
    try:
        host, port = re.search(r"http://([\d.]+):(\d+)/", process.stdout.readline()).groups()
        assert host == "127.0.0.1"
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", "/events")
        stream = connection.getresponse()
        while not (line := stream.readline()).startswith(b"event: frame"):
            assert line
        packet = json.loads(stream.readline().removeprefix(b"data: "))
        assert packet["hands"] == [] and packet["jpeg"] and packet["timing"]["total"] > 0
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code and said == ""


def _hear_ctrl_c():
    """A shell starts what runs in the background deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_wider_view_says_so(images, load, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("prehend.view.player.Player.run", stop)
    assert run([str(images), "--host", "0.0.0.0", "--port", "0", "--no-browser"], load) == 0
    out, err = capsys.readouterr()
    assert "open to every machine" in err and "http://127.0.0.1:" in out
    assert run([str(images), "--port", "0", "--no-browser"], load) == 0
    assert capsys.readouterr().err == ""


def test_what_has_no_effect_in_a_view_is_told(images, load, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("prehend.view.player.Player.run", stop)
    for words, told in (
        (["--smooth", "1", "--lost", "hold"], "--smooth and --lost have no effect on images that are taken each"),
        (["--smooth", "1", "--no-track"], "--smooth has no effect with --no-track"),
        (["--track", "--grasp-events", "moved"], "--grasp-events has no effect in a view, which tells no events"),
        (["--track", "--smooth", "1", "--lost", "hold"], ""),
    ):
        assert run([str(images), *words, "--port", "0", "--no-browser"], load) == 0
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == (1 if told else 0) and all(line.startswith(f"prehend view: {told}") for line in lines)
