import threading
import time

import pytest

from prehend.errors import ParameterError
from prehend.view.controls import Controls


def test_a_paused_player_goes_on_by_steps_and_by_play():
    controls = Controls()
    assert controls.wait_until(0.0)
    controls.command("step")
    assert controls.state["paused"] and controls.wait_until(time.monotonic() + 1000)  # a step does not wait
    went = threading.Event()
    waiting = threading.Thread(target=lambda: controls.wait_until(0.0) and went.set())
    waiting.start()
    assert not went.wait(0.05)
    controls.command("play")
    waiting.join(60)
    assert went.is_set() and not controls.state["paused"]


def test_a_frame_waits_for_its_time():
    due_s = time.monotonic() + 0.05
    assert Controls().wait_until(due_s) and time.monotonic() >= due_s


def test_a_restart_takes_the_place_of_a_frame_once():
    controls = Controls()
    controls.command("pause")
    controls.command("restart")
    assert not controls.wait_until(0.0) and controls.wait_until(0.0)


def test_the_end_waits_for_a_person_unless_it_loops():
    Controls(loop=True).wait_at_end()
    for command in ("play", "step", "restart", "loop"):
        controls = Controls()
        ended = threading.Event()
        controls.changed = lambda controls=controls, ended=ended: controls.state["ended"] and ended.set()
        waiting = threading.Thread(target=controls.wait_at_end)
        waiting.start()
        assert ended.wait(60)
        controls.command(command)
        waiting.join(60)
        assert not waiting.is_alive() and not controls.state["ended"]
        assert controls.wait_until(0.0)  # the frame after it is shown


def test_unknown_commands_are_named():
    with pytest.raises(ParameterError, match="pause, play, step"):
        Controls().command("rm -rf")
