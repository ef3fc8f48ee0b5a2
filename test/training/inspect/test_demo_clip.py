"""The clip of `make demo`: what moves in it moves as hands and things do, and the command writes it or says why not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from prehend_training.inspect.demo_clip import (
    HEIGHT,
    RATE_HZ,
    WIDTH,
    ClipMotion,
    choose_grasp,
    clip_scene,
    gesturing_hand,
    grasping_hand,
    main,
    smooth,
    upright,
)

SHARES = np.linspace(0, 1, 21)


@pytest.fixture(scope="module")
def motion():
    grasp = choose_grasp("can")
    return ClipMotion(grasp, grasp.betas, upright(grasp), np.array([-0.12, 0.1, 0.5]))


def test_smooth_goes_from_none_to_all_without_turning_back():
    values = [smooth(x) for x in np.linspace(-1, 2, 61)]
    assert values[0] == 0 and values[-1] == 1 and (np.diff(values) >= 0).all() and smooth(0.5) == 0.5
    assert smooth(0.01) < 0.001 and smooth(0.99) > 0.999  # no jolt at either end


def test_the_hand_is_turned_so_that_its_thing_stands_upright(motion):
    R = motion.R_camera_hand
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-6) and np.linalg.det(R) == pytest.approx(1)
    axis = R @ motion.grasp.T_hand_object[:3, 2]
    assert abs(axis[1]) > 0.999  # along the camera's y, up or down


def test_the_thing_rests_until_it_is_grasped_and_then_goes_with_the_hand(motion):
    rest = grasping_hand(0.0, motion)[1].pose
    relative = []
    for share in SHARES:
        hand, thing = grasping_hand(share, motion)
        assert hand.side == "right"
        if share < 0.48:
            assert np.allclose(thing.pose, rest)
        else:
            R = hand.rotations[0].T
            relative.append(np.column_stack([R @ thing.pose[:3, :3], R @ (thing.pose[:3, 3] - hand.wrist_m)]))
    assert np.abs(np.array(relative) - relative[0]).max() < 1e-6
    assert np.allclose(relative[0], motion.grasp.T_hand_object[:3], atol=1e-6)
    assert grasping_hand(1.0, motion)[1].pose[1, 3] < rest[1, 3] - 0.05  # lifted: y is down


def test_the_hand_comes_nearer_closes_and_only_then_holds(motion):
    hands = [grasping_hand(share, motion)[0] for share in SHARES]
    away = [np.linalg.norm(hand.wrist_m - motion.place_m) for hand in hands[:8]]
    assert away[0] > 0.08 and (np.diff(away) <= 1e-9).all() and away[-1] < 1e-3
    spans = [np.linalg.norm(hand.joints_m[12] - hand.joints_m[0]) for hand in hands]
    assert spans[0] > spans[10] + 0.01
    assert [hand.grasp for hand in hands] == [share >= 0.48 for share in SHARES]


def test_fingers_and_place_never_jump_from_image_to_image(motion):
    shares = np.linspace(0, 1, 61)  # every other image of 8 s
    for hands in ([gesturing_hand(s, np.zeros(10)) for s in shares], [grasping_hand(s, motion)[0] for s in shares]):
        joints = np.array([hand.joints_m for hand in hands])
        assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < 0.06
        assert len({hand.side for hand in hands}) == 1


def test_the_thing_stands_on_the_table_and_both_hands_are_in_the_scene(motion):
    scene = clip_scene(0.0, motion)
    assert [hand.side for hand in scene.hands] == ["left", "right"] and len(scene.objects) == 1
    thing, table = scene.objects[0], scene.table
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = thing.solid.center_m + signs * thing.solid.extents_m / 2
    lowest = (corners @ thing.pose[:3, :3].T + thing.pose[:3, 3])[:, 1].max()  # y is down
    assert abs(lowest - table.pose[1, 3]) < 0.005
    assert np.allclose(clip_scene(1.0, motion).table.pose, table.pose)


def test_the_command_writes_as_many_images_as_it_was_asked_for(renderer, tmp_path):
    out = tmp_path / "clip.mp4"
    assert main(["--out", str(out), "--seconds", "0.14"]) == 0
    video = cv2.VideoCapture(str(out))
    assert (video.get(3), video.get(4), video.get(5)) == (WIDTH, HEIGHT, RATE_HZ)
    images = []
    while (read := video.read())[0]:
        images.append(read[1].astype(int))
    assert len(images) == 2 and all(image.std() > 10 for image in images)
    assert np.abs(images[0] - images[1]).mean() > 2


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ("--seconds 0 --out {0}/a.mp4", 2, "--seconds"),
        ("--seconds nan --out {0}/a.mp4", 2, "--seconds"),
        ("--seconds 0.05 --out {0}/a.mp4", 2, "--seconds"),  # one image is no clip
        ("--object nope --out {0}/a.mp4", 1, "nope"),
        ("--out {0}/none/a.mp4", 1, "none/a.mp4"),
        ("--out {0}", 1, "cannot be written"),
    ],
)
def test_what_it_cannot_do_is_one_line(options, code, words, tmp_path, capsys):
    try:
        found = main(options.format(tmp_path).split())
    except SystemExit as stop:
        found = stop.code
    said = capsys.readouterr().err
    assert found == code and said.count("\n") == 1 and words in said and not list(Path(tmp_path).glob("*.mp4"))
