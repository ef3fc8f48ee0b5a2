from dataclasses import replace

import numpy as np
import pytest

from prehend.conventions import MIRROR
from prehend.errors import MissingDependency, SourceError
from prehend.geometry.rotations import geodesic_angle
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.hand_tracks import arms_fit
from prehend_training.scenes.layout.posing import pose_hand
from prehend_training.scenes.layout.rig import CENTRE_M, look_at, table_rig
from prehend_training.scenes.layout.scene import true_points
from prehend_training.scenes.layout.sequences import RATE_HZ, sample_sequence
from prehend_training.scenes.motion import aperture_course, curve, least_jerk, reach_course, sway
from prehend_training.scenes.people.body import drawn_hand, shoulder
from prehend_training.scenes.render.labels import in_camera
from prehend_training.scenes.render.render import SceneRenderer

SIZE = (64, 48)


@pytest.fixture(scope="module")
def sequences():
    return [sample_sequence(5, index, 8, SIZE) for index in range(7)]


@pytest.fixture(scope="module")
def lifted(sequences):
    found = [sequence for sequence in sequences if sequence.hands[0].displaced.any()]
    assert len(found) >= 2
    return found


def hand_points(track, frame):
    """(N, 3) skin of the hand, and of the hand with its arm, in the true world."""
    hand = track.hand(frame)
    return true_points(hand, hand.model_m), true_points(hand, hand.vertices_m)


def test_courses_start_and_end_at_rest_and_reaches_are_fastest_before_their_middle():
    share = np.linspace(-0.2, 1.2, 281)
    for course in (least_jerk, reach_course):
        way = course(share)
        assert way[share <= 0].max() == 0 and way[share >= 1].min() == 1
        assert (np.diff(way) >= 0).all()
    speed = np.diff(reach_course(np.linspace(0, 1, 201)))
    assert 0.3 < speed.argmax() / 200 < 0.5
    opening = aperture_course(np.linspace(0, 1, 201), 0.5, 0.3)
    assert 0.6 <= opening.argmax() / 200 <= 0.7 and opening.max() == pytest.approx(1)
    assert opening[0] == pytest.approx(0.5) and opening[-1] == pytest.approx(0.3)


def test_curves_are_travelled_evenly_and_sway_stays_small():
    share = np.linspace(0, 1, 50)
    start, control, end = np.zeros(3), np.array([0.1, 0.3, 0.0]), np.array([0.3, 0.0, 0.1])
    places = curve(start, control, end, share)
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert np.allclose(places[[0, -1]], [start, end])
    assert steps.max() / steps.min() < 1.05
    waves = sway(np.random.default_rng(0), 300, 30.0, 0.002, (0.3, 2.0))
    assert 0.001 < waves.std() < 0.003 and np.abs(np.diff(waves, axis=0)).max() < 0.002


def test_the_same_numbers_give_the_same_sequence_and_others_another(sequences):
    again = sample_sequence(5, 1, 8, SIZE)
    one = sequences[1]
    assert again.frames == one.frames and 3 * RATE_HZ <= one.frames <= 6 * RATE_HZ
    first, second = again.scene(20), one.scene(20)
    assert np.array_equal(first.hands[0].vertices_m, second.hands[0].vertices_m)
    assert again.frame_id(3, "cam2").sequence == "5-1"
    places = [tuple(np.round(sequence.hands[0].course.T_world_hand[0, :3, 3], 6)) for sequence in sequences]
    assert len(set(places)) == len(places)


def test_things_rest_until_they_are_touched_and_after_they_are_let_go(sequences):
    for sequence in sequences:
        track = sequence.hands[0]
        if track.thing is None:
            continue
        poses, attached = sequence.T_world_things[track.thing], track.course.attached
        moving = np.abs(np.diff(poses, axis=0)).max((1, 2)) > 1e-9
        assert attached[1:][moving].all()
        touched = np.flatnonzero(track.course.contact.any(1))
        if moving.any():
            assert touched[0] <= np.flatnonzero(moving)[0]
        thing = sequence.things[track.thing]
        points = thing.solid.mesh().vertices
        for pose in poses[[0, -1]]:
            assert abs((points @ pose[2, :3] + pose[2, 3]).min()) < 1e-6
        heights = np.array([(points[::5] @ pose[2, :3] + pose[2, 3]).min() for pose in poses])
        assert heights.min() > -0.003


def test_the_hand_holds_the_thing_rigidly_while_it_is_carried(lifted):
    for sequence in lifted:
        track = sequence.hands[0]
        held = np.flatnonzero(track.course.attached)
        own = track.course.T_world_object[held]
        relation = np.linalg.inv(track.course.T_world_hand[held]) @ own
        assert np.ptp(relation, axis=0).max() < 1e-6
        assert track.course.contact[held].any(1).all()
        assert np.ptp(track.course.angles[held], axis=0).max() < 1e-9
        assert np.linalg.norm(np.ptp(own[:, :3, 3], axis=0)) > 0.05


def test_labels_follow_the_papers_rule(sequences):
    for sequence in sequences:
        track = sequence.hands[0]
        for frame in range(0, sequence.frames, 7):
            hand = track.hand(frame)
            assert np.array_equal(hand.contact, track.course.contact[frame])
            assert (hand.object_index is not None) == bool(hand.contact.any())
            if track.thing is None:
                assert not hand.displaced and not hand.grasp
                continue
            poses = sequence.T_world_things[track.thing]
            turned = np.degrees(geodesic_angle(poses[frame, :3, :3], poses[0, :3, :3]))
            rule = bool(turned > 5 or np.linalg.norm(poses[frame, :3, 3] - poses[0, :3, 3]) > 0.01)
            assert hand.displaced == rule
            assert hand.grasp == (rule and bool(hand.contact.any()))


def test_reaches_are_bell_shaped_and_nothing_jumps(sequences):
    for sequence in sequences:
        for track in sequence.hands:
            course = track.course
            wrist = course.T_world_hand[:, :3, 3]
            speed = np.linalg.norm(np.diff(wrist, axis=0), axis=1) * RATE_HZ
            assert speed.max() < 1.8
            turns = geodesic_angle(course.T_world_hand[1:, :3, :3], course.T_world_hand[:-1, :3, :3])
            assert np.degrees(turns).max() < 14
            assert np.degrees(np.abs(np.diff(course.angles, axis=0)).max()) < 25
        first, last = sequence.hands[0].course.reach
        reach = np.linalg.norm(np.diff(sequence.hands[0].course.T_world_hand[first - 1 : last, :3, 3], axis=0), axis=1)
        assert 0.28 < (reach.argmax() + 1) / len(reach) < 0.6
        assert reach[0] < 0.3 * reach.max() and reach[-1] < 0.3 * reach.max()


def test_no_hand_is_in_the_table_and_no_hand_in_what_it_handles(sequences):
    for sequence in sequences:
        for track in sequence.hands:
            for frame in range(0, sequence.frames, 9):
                skin, drawn = hand_points(track, frame)
                assert skin[:, 2].min() > -0.003
                assert drawn[:, 2].min() > -0.01
                arm = track.arm(frame)
                assert shoulder(track.hand(frame).vertices_m, arm)[2] > 0.05
        track = sequence.hands[0]
        if track.thing is None:
            continue
        solid = sequence.things[track.thing].solid
        for frame in range(0, sequence.frames, 9):
            posed = pose_hand(track.course.angles[frame], track.betas)
            T = np.linalg.inv(track.course.T_world_hand[frame]) @ track.course.T_world_object[frame]
            local = (posed.vertices[drawn_hand().hand_mask] - T[:3, 3]) @ T[:3, :3]
            assert solid.distance(local, filled=True).min() > -0.006


def test_things_on_the_table_do_not_meet(sequences):
    for sequence in sequences:
        still = [*sequence.clutter, *(thing for k, thing in enumerate(sequence.things) if k != sequence.hands[0].thing)]
        clouds = [thing.solid.mesh().vertices @ thing.pose[:3, :3].T + thing.pose[:3, 3] for thing in still]
        assert all(abs(cloud[:, 2].min()) < 1e-6 for cloud in clouds)
        for k, cloud in enumerate(clouds):
            for other in clouds[:k]:
                assert np.linalg.norm(cloud[::4, None, :2] - other[None, ::4, :2], axis=2).min() > 0.002
        places = np.concatenate([track.swept(6) for track in sequence.hands])
        for thing in still:
            local = (places - thing.pose[:3, 3]) @ thing.pose[:3, :3]
            assert thing.solid.distance(local, filled=True).min() > 0.005


def test_all_cameras_of_a_rig_see_the_middle_of_the_table_and_their_picture_is_upright():
    for seed in range(8):
        views = table_rig(np.random.default_rng(seed), 8, None, 0.4)
        assert [view.name for view in views] == [f"cam{k}" for k in range(8)]
        assert len({tuple(view.camera.K.ravel()) for view in views}) == 8
        for view in views:
            assert np.allclose(view.T_camera_world[:3, :3] @ view.T_camera_world[:3, :3].T, np.eye(3))
            seen = in_camera(view, np.stack([CENTRE_M, CENTRE_M + np.array([0, 0, 0.05])]))
            (u, v), (_, above) = pixels(seen, view.camera)
            assert 0.15 < u / view.camera.width < 0.85 and 0.15 < v / view.camera.height < 0.85
            assert above < v and (seen[:, 2] > 0.3).all()
    straight_down = look_at(np.array([0, 0, 1.0]), np.zeros(3))
    assert np.allclose(straight_down[:3, 2], [0, 0, -1]) or np.allclose(straight_down[2, :3], [0, 0, -1])


def test_cameras_of_an_instant_see_one_world_and_only_the_head_moves(sequences):
    sequence = sequences[0]
    early, late = sequence.views(5), sequence.views(40)
    assert [view.name for view in early] == [*(f"cam{k}" for k in range(8)), "ego"]
    assert all(np.array_equal(a.T_camera_world, b.T_camera_world) for a, b in zip(early[:8], late[:8], strict=True))
    steps = np.linalg.inv(sequence.T_ego_world)[:, :3, 3]
    assert 0 < np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.010
    assert np.linalg.norm(steps - steps[0], axis=1).max() > 0.002
    renderer = SceneRenderer()
    try:
        samples = renderer.render_views(sequence.scene(5), early, sequence.frame_id(5, ""))
    except (MissingDependency, SourceError) as error:
        pytest.skip(str(error))
    worlds = []
    for sample in samples:
        R, t = sample.T_camera_world[:3, :3], sample.T_camera_world[:3, 3]
        worlds.append((sample.hands[0].joints_m - t) @ R)
    assert np.allclose(worlds, worlds[0], atol=1e-5)
    assert [sample.frame_id.view for sample in samples] == [view.name for view in early]


def outside(scene, places):
    """(N,) distance of places (N, 3) to the person [m], below zero inside."""
    local = [(places - thing.pose[:3, 3]) @ thing.pose[:3, :3] for thing in scene.scenery]
    return np.min([thing.solid.distance(p) for thing, p in zip(scene.scenery, local, strict=True)], axis=0)


def test_arms_end_in_the_person_and_eyes_are_before_the_face_and_see_the_work(sequences):
    for sequence in sequences:
        eyes = np.linalg.inv(sequence.T_ego_world)[:, :3, 3]
        for frame in range(0, sequence.frames, 9):
            scene = sequence.scene(frame)
            hands = [true_points(hand, hand.joints_m).mean(0) for hand in scene.hands]
            ends = [true_points(hand, shoulder(hand.vertices_m, hand.arm)) for hand in scene.hands]
            assert outside(scene, np.stack(ends)).max() < 0.03
            view = sequence.views(frame)[-1]
            seen = in_camera(view, np.stack([CENTRE_M, hands[0]]))
            assert (seen[:, 2] > 0.1).all()
            share = pixels(seen, view.camera) / SIZE
            assert (share > 0).all() and (share < 1).all()
            sight = eyes[frame] + np.linspace(0, 0.9, 10)[:, None] * (CENTRE_M - eyes[frame])
            assert outside(scene, sight).min() > 0.01


def test_arms_beside_the_body_or_in_the_table_do_not_fit(sequences):
    for sequence in sequences:
        hands, scenery, lean = sequence.hands, sequence.scenery, sequence.lean_m
        assert arms_fit(hands, scenery, lean)
        assert not arms_fit(hands, scenery, lean - np.array([0, 0, 2.0])), "the body is elsewhere"
        sunk = hands[0].course.T_world_hand.copy()
        sunk[:, 2, 3] -= sunk[:, 2, 3].min() + 0.03
        down = replace(hands[0], course=hands[0].course._replace(T_world_hand=sunk))
        assert not arms_fit((down,), scenery, lean), "the hand is in the table"


def test_motion_blur_is_as_long_as_the_hands_go_while_the_shutter_is_open(sequences):
    for sequence in sequences[:3]:
        assert ((sequence.shutter >= 1 / 8) & (sequence.shutter <= 1 / 2)).all()
        wrist = sequence.hands[0].course.T_world_hand[:, :3, 3]
        speed = np.linalg.norm(wrist[2:] - wrist[:-2], axis=1)
        fast, slow = int(speed.argmax()) + 1, int(speed.argmin()) + 1
        streaks = {k: np.array([np.hypot(*view.effects.motion_px) for view in sequence.views(k)]) for k in (fast, slow)}
        assert streaks[fast].max() <= 10.0 + 1e-9
        assert streaks[fast][:-1].mean() > 3 * streaks[slow][:-1].mean()
        before, view, after = (sequence.views(k)[0] for k in (fast - 1, fast, fast + 1))
        track = sequence.hands[0]
        assert np.array_equal(before.T_camera_world, after.T_camera_world)
        if len(sequence.hands) == 1:
            places = in_camera(view, np.stack([track.middle(fast - 1), track.middle(fast + 1)]))
            travelled = np.subtract(*pixels(places, view.camera)[::-1]) / 2 * sequence.shutter[0] * 160 / SIZE[0]
            assert np.allclose(view.effects.motion_px, travelled * min(1, 10 / np.hypot(*travelled)), atol=1e-6)


def test_the_person_of_a_left_hand_is_the_mirror_image(sequences):
    sides = {track.side for sequence in sequences for track in sequence.hands}
    assert sides == {"left", "right"}
    for sequence in sequences:
        for track in sequence.hands:
            own = track.course.T_world_hand[0, :3, 3]
            true = own @ MIRROR if track.side == "left" else own
            assert np.allclose(true_points(track.hand(0), track.hand(0).wrist_m), true)
