import threading

import numpy as np
import pytest

from prehend.errors import InvalidInput, SourceError
from prehend.io.cameras.side_files import GivenCamera
from prehend.io.sources import open_source
from prehend.view.controls import Controls
from prehend.view.player import Player


class Kept:
    def __init__(self):
        self.seen = []

    def show(self, seen):
        self.seen.append(seen)


@pytest.fixture
def play(estimator):
    """play(open, **options): the frames shown until the end, and what was told."""

    def play(opened, controls=None, again=False, **options):
        screen, told = Kept(), []
        fail = options.pop("fail", told.append)
        player = Player(opened, estimator, [screen], controls or Controls(), told.append, fail, **options)
        player.run(again)
        return screen.seen, told

    return play


def test_every_frame_is_shown_once_at_its_own_time(play, clip, estimator):
    seen, _ = play(lambda: clip(6, fps=50.0))
    assert [one.number for one in seen] == list(range(1, 7))
    assert [one.time_s for one in seen] == pytest.approx([n / 50 for n in range(6)])
    assert [stamp for _, stamp in estimator.asked] == pytest.approx([n / 50 for n in range(6)])


def test_a_loop_begins_anew_and_its_clock_goes_on(play, clip, estimator):
    controls, rounds = Controls(loop=True), []

    def opened():
        rounds.append(1)
        if len(rounds) == 3:
            raise SourceError("enough")
        return clip(3, fps=100.0)

    screen = Kept()
    with pytest.raises(SourceError, match="enough"):
        Player(opened, estimator, [screen], controls, print, print).run()
    assert [one.number for one in screen.seen] == [1, 2, 3, 4, 5, 6] and estimator.resets == 2
    assert (np.diff([one.time_s for one in screen.seen]) > 0).all()


def test_a_paused_file_stands_and_steps_one_frame_at_a_time(clip, estimator):
    controls, screen = Controls(), Kept()
    controls.command("pause")
    player = Player(lambda: clip(3), estimator, [screen], controls, print, print)
    running = threading.Thread(target=player.run, args=(False,))
    running.start()
    for number in (1, 2, 3):
        controls.command("step")
        for _ in range(12000):
            if len(screen.seen) == number:
                break
            threading.Event().wait(0.005)
        threading.Event().wait(0.02)
        assert len(screen.seen) == number
    running.join(60)
    assert not running.is_alive()


def test_a_camera_is_not_held_up(play, clip):
    controls = Controls()
    controls.command("pause")
    seen, _ = play(lambda: clip(4, live=True), controls)
    assert len(seen) == 4


def test_a_frame_that_cannot_be_done_costs_itself(play, clip, estimator, monkeypatch):
    real = estimator.estimate

    def picky(image, camera=None, stamp=None, boxes=None):
        if image[0, 0, 0] == 10:
            raise InvalidInput("not this one")
        if image[0, 0, 0] == 20:
            raise ZeroDivisionError
        return real(image, camera, stamp)

    monkeypatch.setattr(estimator, "estimate", picky)
    seen, told = play(lambda: clip(5))
    assert [one.frame.index for one in seen] == [0, 3, 4] and [one.number for one in seen] == [1, 2, 3]
    assert "not this one" in str(told[0]) and "frame 2 cannot be done" in str(told[1])


def test_own_cameras_and_mirrors_reach_the_estimator(play, clip, estimator):
    K = np.array([[60.0, 0, 20], [0, 60, 23.5], [0, 0, 1]])
    play(lambda: clip(1), cameras=GivenCamera(K.tolist()))
    play(lambda: clip(1), cameras=GivenCamera(K.tolist()), mirrored=True)
    assert np.allclose(estimator.asked[0][0].K, K)
    assert np.allclose(estimator.asked[1][0].K, [[60, 0, 43], [0, 60, 23.5], [0, 0, 1]]), (
        "K is of the picture as it comes"
    )


def test_unrelated_pictures_come_one_a_second_and_files_as_fast_as_they_go_at_rate_0(play, tmp_path):
    import cv2

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    seen, _ = play(lambda: open_source(str(tmp_path)), rate_hz=0)
    assert [one.time_s for one in seen] == [0, 1, 2]
