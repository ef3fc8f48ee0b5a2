import numpy as np
import pytest

from prehend.errors import AssetError, UnknownName
from prehend.hand_model import skin
from prehend_training.assets.contact import penetration
from prehend_training.assets.poses import MAX_PENETRATION_M, pose_from_angles
from prehend_training.grasps.checks import check, closure_residual, shared_volume_cm3
from prehend_training.grasps.closing import close, felt
from prehend_training.grasps.field import ExactField
from prehend_training.grasps.hand import DIGIT_ROWS, hand_model, probe
from prehend_training.grasps.kinds import KINDS, kind_of
from prehend_training.grasps.search.fresh import POOL_SIZE, build_pool, close_on, pooled
from prehend_training.grasps.search.grids import GridField
from prehend_training.grasps.search.optimise import GraspEnergy, optimise
from prehend_training.grasps.search.people import sample_hands
from prehend_training.grasps.search.placing import place
from prehend_training.grasps.search.regions import anchors
from prehend_training.grasps.volume import inner_voxels
from prehend_training.objects import catalogue

FLAT = np.zeros((15, 3))


def _vertices(angles=FLAT, betas=None):
    shape = np.zeros(10) if betas is None else betas
    posed = skin(hand_model(), pose_from_angles(hand_model(), *angles.T), shape)
    return posed.vertices - posed.joints[0]


def _cube(side_m, center):
    corners = (np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5) * side_m + center
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])


def _placed(kind="power", count=6, seed=3):
    rng, solid = np.random.default_rng(seed), catalogue()["can"]
    field = GridField(solid, filled=True)
    betas = sample_hands(rng, count)
    return field, place(rng, kind_of(kind), anchors(solid, "all"), field, betas, np.ones((count, 3)))


@pytest.mark.parametrize("side_m", [0.013, 0.04])
def test_voxels_of_a_cube_fill_it(side_m):
    corners, faces = _cube(side_m, np.array([0.1, -0.2, 0.03]))
    inside = inner_voxels(corners, faces, 0.001)
    assert len(inside) * 1e-9 == pytest.approx(side_m**3, rel=0.02)
    assert np.abs(inside - [0.1, -0.2, 0.03]).max() < side_m / 2
    assert len(inner_voxels(corners, faces[:-2], 0.001)) == len(inside)  # an open side is closed


def test_the_volume_shared_with_boxes_adds_up():
    vertices = _vertices()
    wide = catalogue()["box"].stretched(np.array([10.0, 10.0, 10.0]))
    whole = shared_volume_cm3(wide, vertices)
    assert 150 < whole < 500  # a hand has about a third of a litre
    cut = vertices - vertices.mean(0)
    left, right = (cut + sign * np.array([wide.extents_m[0] / 2, 0, 0]) for sign in (1, -1))
    assert shared_volume_cm3(wide, left) + shared_volume_cm3(wide, right) == pytest.approx(whole, rel=0.03)


def test_a_hand_through_a_box_is_found():
    box = catalogue()["box"]
    T = np.eye(4)
    T[:3, 3] = [0.14, 0.0, 0.0]  # the fingers go through its middle
    passed = check(box, np.zeros(10), FLAT, T).passed
    assert passed["contact"] and not passed["volume"] and not passed["depth"]


def test_a_hovering_hand_makes_no_contact():
    T = np.eye(4)
    T[:3, 3] = [0.0, 0.2, 0.0]
    report = check(catalogue()["box"], np.zeros(10), FLAT, T)
    assert not report.contact.any() and not report.passed["contact"] and not report.valid
    assert report.volume_cm3 == 0 and report.deepest_m == 0


def test_crossed_fingers_go_into_each_other():
    T = np.eye(4)
    T[:3, 3] = [0.0, 0.2, 0.0]
    crossed = FLAT.copy()
    crossed[DIGIT_ROWS["index"], 1], crossed[DIGIT_ROWS["middle"], 1] = -0.35, 0.35
    assert not check(catalogue()["box"], np.zeros(10), crossed, T).passed["self_penetration"]
    assert check(catalogue()["box"], np.zeros(10), FLAT, T).passed["self_penetration"]


def test_opposed_contacts_balance_and_one_does_not():
    points = np.array([[0.03, 0, 0], [-0.03, 0, 0.0]])
    outwards = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    assert closure_residual(points, outwards) < 0.01
    assert closure_residual(points[:1], outwards[:1]) > 0.8
    assert closure_residual(points, outwards[[0, 0]]) > 0.5  # both push the same way
    assert (
        closure_residual(points + np.array([[0, 0.05, 0], [0, -0.05, 0]]), outwards) > 0.1
    )  # outside their friction cones
    assert closure_residual(np.zeros((0, 3)), np.zeros((0, 3))) == np.inf


def test_the_probe_is_the_hand():
    rng = np.random.default_rng(2)
    angles, betas = rng.normal(0, 0.2, (4, 15, 3)), rng.normal(0, 1, (4, 10))
    felt_points = probe().points(angles, betas)
    for k in range(4):
        assert np.allclose(felt_points[k, :5], _vertices(angles[k], betas[k])[hand_model().tips], atol=1e-5)
    assert all(len(rows) >= 3 for rows in probe().patches.values())


def test_closing_stops_at_the_skin():
    field, hands = _placed()
    distance = felt(hands, field)
    assert len(hands) >= 3
    assert distance.min() > -0.012  # opened hands start less deep than this
    used = np.isin(probe().digit, [DIGIT_ROWS[name] for name in KINDS["power"].fingers])
    assert np.median(np.abs(distance[:, used].min(1))) < 0.003
    again = close(KINDS["power"], hands, field)  # nothing is left to close
    assert np.abs(again.angles - hands.angles)[:, :12].max() < 0.5


def test_grids_and_solids_measure_alike():
    solid = catalogue()["mug"]
    points = np.random.default_rng(1).uniform(-0.06, 0.06, (1, 300, 3))
    exact = ExactField(solid, filled=True)(points, np.ones((1, 3)))
    assert np.abs(GridField(solid, filled=True)(points, np.ones((1, 3))) - exact).max() < 0.002


def test_the_optimiser_lowers_the_energy_and_repeats_itself():
    field, hands = _placed()
    done, energy = optimise(KINDS["power"], field.grid, hands, steps=25)
    assert (energy[1] < energy[0]).mean() > 0.8 and energy[1].mean() < 0.9 * energy[0].mean()
    again, _ = optimise(KINDS["power"], field.grid, hands, steps=25)
    assert np.array_equal(done.angles, again.angles) and np.array_equal(done.T_object_hand, again.T_object_hand)
    limits = hand_model().limits_rad
    assert (done.angles >= limits[..., 0] - 1e-6).all() and (done.angles <= limits[..., 1] + 1e-6).all()
    R = done.T_object_hand[:, :3, :3]
    assert np.allclose(R @ R.transpose(0, 2, 1), np.eye(3), atol=1e-4)


def test_the_energy_rises_with_what_is_wrong():
    import torch

    field, hands = _placed(count=4)
    energy = GraspEnergy(KINDS["power"], field.grid, hands)
    none = torch.zeros(len(hands), 3)
    start = energy(energy.angles0, none, none)
    inwards = -energy.T0[:, :3, 3] / energy.T0[:, :3, 3].norm(dim=1, keepdim=True)
    assert (energy(energy.angles0, none, 0.4 * inwards) > start).all()  # 2 cm into the can
    crossed = energy.angles0.clone()
    crossed[:, DIGIT_ROWS["index"], 1] -= 0.35
    assert (energy(crossed, none, none) > start).all()
    table = GraspEnergy(KINDS["power"], field.grid, hands, table_m=np.full(len(hands), 0.3))
    assert (table(energy.angles0, none, none) > start).all()  # the hand is in the table


def test_any_box_can_be_held():
    rng = np.random.default_rng(5)
    found = [close_on(rng, catalogue()["box"].stretched(rng.uniform(0.6, 0.9, 3)), kind="precision") for _ in range(5)]
    held = [grasp for grasp in found if grasp is not None]
    assert len(held) >= 2
    for grasp in held:
        T = np.linalg.inv(grasp.T_hand_object)
        report = check(grasp.solid, grasp.betas, grasp.angles, T)
        assert report.passed["depth"] and report.passed["volume"] and report.passed["opposed"]
        assert np.array_equal(report.contact, grasp.contact)


def test_the_thickest_things_cannot_be_held():
    wide = catalogue()["box"].stretched(np.array([5.0, 5.0, 5.0]))
    assert close_on(np.random.default_rng(0), wide) is None


def test_the_pool_holds_things_of_families():
    for number in range(0, POOL_SIZE, 32):
        grasp = pooled(number)
        T_object_hand = np.linalg.inv(grasp.T_hand_object)
        report = check(grasp.solid, grasp.betas, grasp.angles, T_object_hand, filled=KINDS[grasp.kind].filled)
        assert all(report.passed[name] for name in ("depth", "volume", "opposed", "self_penetration"))
        assert np.array_equal(report.contact, grasp.contact)


def test_a_pool_is_made_and_read(tmp_path):
    with pytest.raises(AssetError, match="prehend-train grasps"):
        pooled(0, tmp_path / "none")
    build_pool(tmp_path, 1)
    shipped, made = pooled(0), pooled(0, tmp_path)
    assert np.allclose(shipped.angles, made.angles, atol=1e-3)
    assert np.allclose(shipped.T_hand_object, made.T_hand_object, atol=1e-3)


def test_unknown_kinds_are_named():
    with pytest.raises(UnknownName, match="power"):
        kind_of("powerful")


def test_natural_hands_of_kinds_do_not_go_into_themselves():
    for kind in KINDS.values():
        rotations = pose_from_angles(hand_model(), *kind.opened.T)
        assert penetration(hand_model(), rotations[None])[0] <= MAX_PENETRATION_M
