import numpy as np
import pytest

from prehend.hand_model import skin
from prehend_training.scenes.camera.cameras import CAMERA_KINDS, camera_of, sample_camera
from prehend_training.scenes.camera.lens import pixels
from prehend_training.scenes.layout.posing import aimed_arm, forearm_direction, hand_frame, held_grasp, skin_distances
from prehend_training.scenes.layout.sampling import backed_off, sample_scene, sample_view
from prehend_training.scenes.layout.scene import true_points
from prehend_training.scenes.layout.viewpoints import VIEW_KINDS, sample_hand_rotation, sample_viewpoint
from prehend_training.scenes.people.body import drawn_hand
from prehend_training.transforms import rigid


def scene_of(seed, kind):
    rng = np.random.default_rng([17, seed])
    view = sample_view(rng) if kind == "crop" else sample_view(rng, 320, 240)
    return sample_scene(rng, kind, view), view


@pytest.fixture(scope="module")
def crops():
    return [scene_of(seed, "crop") for seed in range(150)]


@pytest.fixture(scope="module")
def frames():
    return [scene_of(seed, "frame") for seed in range(40)]


def everyone(scene):
    return [*scene.hands, *scene.strangers]


def heights(table, points):
    """Of points (N, 3) over a table [m], and whether they are over its top."""
    local = (points - table.pose[:3, 3]) @ table.pose[:3, :3]
    return local[:, 2], (np.abs(local[:, :2]) < table.half_m).all(1)


def test_grasping_near_and_empty_hands_have_their_shares(crops):
    hands = [scene.hands[0] for scene, _ in crops]
    grasping = np.mean([hand.grasp for hand in hands])
    near = np.mean([not scene.hands[0].grasp and len(scene.objects) > 0 for scene, _ in crops])
    assert 0.3 < grasping < 0.6
    assert 0.04 < near < 0.3
    assert grasping + near < 0.85
    assert 0.3 < np.mean([hand.side == "left" for hand in hands]) < 0.7
    assert 0.2 < np.mean([scene.table is not None for scene, _ in crops]) < 0.8


def test_numbers_of_things_and_contacts_belong_together(crops, frames):
    for scene, _ in [*crops, *frames]:
        for hand in scene.hands:
            if hand.object_index is None:
                assert not hand.grasp and not hand.contact.any()
            else:
                assert 0 <= hand.object_index < len(scene.objects)
                assert hand.contact.any()


def test_placed_hands_are_the_hand_model(crops):
    for scene, _ in crops[:30]:
        for hand in everyone(scene):
            posed = skin(drawn_hand(), hand.rotations, hand.betas)
            shift = hand.wrist_m - posed.joints[0]
            assert np.allclose(posed.joints + shift, hand.joints_m, atol=1e-5)
            assert np.allclose(posed.vertices[drawn_hand().hand_mask] + shift, hand.model_m, atol=1e-5)


def test_no_hand_arm_or_thing_is_under_the_table(crops, frames):
    for scene, _ in [*crops, *frames]:
        if scene.table is None:
            continue
        for hand in everyone(scene):
            height, over = heights(scene.table, true_points(hand, hand.vertices_m))
            assert height[over].min(initial=0) > -0.004
        for thing in (*scene.objects, *scene.clutter):
            points = thing.solid.mesh().vertices @ thing.pose[:3, :3].T + thing.pose[:3, 3]
            assert heights(scene.table, points)[0].min() > -0.004 or thing.solid.extents_m.min() < 0.001


def test_hands_do_not_meet_one_another(frames):
    pairs = [scene.hands for scene, _ in frames if len(scene.hands) == 2]
    assert len(pairs) > 5
    for first, second in pairs:
        a, b = (true_points(hand, hand.model_m)[::5] for hand in (first, second))
        assert np.linalg.norm(a[:, None] - b, axis=2).min() > 0.004


def test_hands_of_crops_are_before_the_camera_and_mostly_in_its_picture(crops):
    inside = []
    for scene, view in crops:
        joints = true_points(scene.hands[0], scene.hands[0].joints_m)
        assert joints[:, 2].min() > 0.11
        places = pixels(joints, view.camera)
        inside.append(((places > 0) & (places < [view.camera.width, view.camera.height])).all(1).mean())
    assert np.mean(inside) > 0.8


def test_a_hand_that_just_missed_does_not_touch():
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(12):
        grasp = held_grasp(rng)
        missed = backed_off(rng, grasp)
        if missed is not None:
            posed, T_hand_object, contact = missed
            nearest = skin_distances(posed, grasp.solid, T_hand_object)[0].min()
            found += 1
            assert 0.001 < nearest < 0.15 and not contact.any()
    assert found > 5


def test_arms_lead_to_the_shoulder_as_far_as_wrists_bend():
    rng = np.random.default_rng(2)
    down = np.array([0, 0, -1.0])
    for _ in range(20):
        shoulder = rng.normal(0, 1, 3)
        shoulder *= 0.45 / np.linalg.norm(shoulder)
        straight = rigid(hand_frame(shoulder, np.cross(shoulder, rng.normal(0, 1, 3))), np.zeros(3))
        arm = aimed_arm(straight, shoulder, down)
        elbow = 0.25 * forearm_direction(straight[:3, :3], arm.bend)
        assert np.linalg.norm(shoulder - elbow) < 0.45
        assert forearm_direction(straight[:3, :3], arm.bend) @ shoulder > 0.3 * 0.45


def test_forearms_of_sampled_hands_go_towards_the_person():
    rng = np.random.default_rng(3)
    kinds = set()
    for _ in range(120):
        viewpoint = sample_viewpoint(rng)
        kinds.add(viewpoint.kind)
        assert abs(viewpoint.up @ viewpoint.toward) < 1e-9
        mirrored = viewpoint.seen_by("left")
        assert np.allclose(mirrored.right * [-1, 1, 1], -viewpoint.right)
        if viewpoint.kind in ("free", "raised"):
            continue
        directions = [sample_hand_rotation(rng, viewpoint)[:, 0] @ viewpoint.toward for _ in range(6)]
        assert np.median(directions) > 0
    assert kinds == set(VIEW_KINDS)


def test_cameras_have_the_fields_of_view_and_lenses_of_their_kind():
    rng = np.random.default_rng(0)
    for kind in CAMERA_KINDS:
        fields, edges = [], []
        for _ in range(40):
            camera = camera_of(rng, kind, 1280, 720)
            fields.append(2 * np.degrees(np.arctan(640 / camera.K[0, 0])))
            corner = np.array([[0.0, 0.0, 1.0]]) @ np.linalg.inv(camera.K).T
            straight = camera_of(rng, kind, 1280, 720, straight=True)
            assert straight.distortion.size == 0
            edges.append(np.linalg.norm(pixels(corner, camera)) / np.hypot(640, 360))
        low, high = {"webcam": (54, 96), "phone": (57, 77), "d435": (67, 72), "d455": (88, 92)}[kind]
        assert low < min(fields) and max(fields) < high
        assert max(edges) < {"webcam": 0.25, "phone": 0.03, "d435": 0.006, "d455": 0.006}[kind]
    d435 = camera_of(rng, "d435", 640, 480)
    assert 590 < d435.K[0, 0] < 640
    assert len({sample_camera(rng).K[0, 0] for _ in range(20)}) == 20


def test_crops_have_no_distortion_and_whole_pictures_do():
    rng = np.random.default_rng(1)
    assert all(not sample_view(rng).camera.distortion.any() for _ in range(10))
    assert all(sample_view(rng, 320, 240).camera.distortion.any() for _ in range(10))
