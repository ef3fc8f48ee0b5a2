import numpy as np
import pytest
from prior_work import CAMERA, network, posed, prior, seen

from prehend.errors import InvalidInput, WeightsMismatch
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model
from prehend.pipeline.hypotheses.denoiser import TIMES, kept_share
from prehend.prior import open_prior
from prehend.prior.conditions import Conditions
from prehend.prior.sampler import MOST_HYPOTHESES, HandPrior, Sampling, joint_covariances
from prehend.prior.schedule import schedule

QUICK = Sampling(steps=3)
HAND = posed()


def test_the_same_seed_gives_the_same_hands_and_another_gives_others():
    one, again, other = (prior().sample(3, None, QUICK._replace(seed=seed)) for seed in (4, 4, 5))
    assert np.array_equal(one.vertices_m, again.vertices_m)
    assert np.abs(one.vertices_m - other.vertices_m).max() > 1e-5
    assert np.abs(one.vertices_m[0] - one.vertices_m[1]).max() > 1e-5


def test_hands_of_a_batch_do_not_see_each_other():
    """The first of three is the one that is drawn alone."""
    many, one = prior().sample(3, None, QUICK), prior().sample(1, None, QUICK)
    np.testing.assert_allclose(many.vertices_m[0], one.vertices_m[0], atol=1e-5)


def test_a_whole_mesh_comes_back():
    found = prior().sample(2, Conditions(vertices_m=HAND.vertices), QUICK)
    assert found.error_m.max() < 0.004
    np.testing.assert_allclose(found.joints_m.mean(0), HAND.joints, atol=0.008)


@pytest.mark.parametrize("side", ["right", "left"])
def test_joints_are_fitted_in_space_and_in_the_picture(side):
    hand = posed(side=side)
    in_space = prior().sample(2, Conditions(side=side, joints_m=hand.joints), QUICK)
    assert in_space.error_m.max() < 0.006 and np.isnan(in_space.error_px).all()
    known = Conditions(side=side, keypoints_px=seen(hand.joints), camera=CAMERA)
    in_picture = prior().sample(2, known, QUICK)
    assert in_picture.error_px.max() < 3.0 and (in_picture.joints_m[..., 2] > 0.2).all()


def test_a_left_hand_is_the_mirror_image_of_a_right_one():
    mirror = np.array([-1.0, 1, 1])
    right = prior().sample(1, Conditions(joints_m=HAND.joints), QUICK)
    left = prior().sample(1, Conditions(side="left", joints_m=HAND.joints * mirror), QUICK)
    np.testing.assert_allclose(left.vertices_m * mirror, right.vertices_m, atol=1e-5)
    assert np.array_equal(left.faces, right.faces[:, ::-1])


def test_guidance_brings_hands_nearer():
    known = Conditions(joints_m=HAND.joints)
    free, guided = (prior().sample(2, known, QUICK._replace(guidance=g)) for g in ((), (0.1, 1.0)))
    assert guided.error_m.max() < 0.6 * free.error_m.min()


def test_the_best_hand_comes_first():
    found = prior().sample(4, Conditions(joints_m=HAND.joints), QUICK._replace(guidance=()))
    assert (np.diff(found.error_m[found.order()]) >= 0).all()


@pytest.mark.parametrize("count", [0, 1000])
def test_numbers_out_of_range_are_named(count):
    with pytest.raises(InvalidInput, match=f"{count} hands: draw 1 to {MOST_HYPOTHESES}"):
        prior().sample(count)
    with pytest.raises(InvalidInput, match="0 steps"):
        prior().sample(1, None, Sampling(steps=0))
    with pytest.raises(InvalidInput, match="below 0, too large or not finite"):
        prior().sample(1, None, Sampling(guidance=(np.nan,)))
    with pytest.raises(InvalidInput, match="look at no images"):
        prior().sample(1, None, QUICK, np.zeros((3, 224, 224)))


def test_weights_are_of_their_hand_model(tmp_path):
    model = load_hand_model()
    notes = {"hand_model": {"name": model.name, "sha256": model.sha256}, "licence": "none"}
    folder = save_bundle(network(), tmp_path / "own", "hhmr-xs", notes).folder
    found = open_prior(folder).sample(1, None, QUICK)
    expected = prior().sample(1, None, QUICK)
    assert np.abs(found.vertices_m - expected.vertices_m).max() < 1e-3  # half precision
    other = save_bundle(
        network(), tmp_path / "other", "hhmr-xs", {"hand_model": {"name": "glove", "sha256": "0"}}
    ).folder
    with pytest.raises(WeightsMismatch, match="are of the hand model 'glove'"):
        HandPrior.of_weights(other)


def test_the_shipped_prior_draws_hands_that_bend_as_hands_do():
    hands = open_prior().sample(8, None, Sampling(steps=10, seed=3))
    assert hands.vertices_m.shape == (8, 1596, 3)
    bones = np.linalg.norm(np.diff(hands.joints_m[:, 5:9], axis=1), axis=-1)  # of the index finger
    true = np.linalg.norm(np.diff(HAND.joints[5:9], axis=0), axis=-1)
    np.testing.assert_allclose(bones, np.tile(true, (8, 1)), rtol=0.25)
    tips = hands.joints_m[:, 8] - hands.joints_m[:, 5]
    assert np.linalg.norm(tips, axis=1).std() > 0.005, "some fingers are bent and some are not"


def test_covariances_are_those_of_the_hypotheses():
    rng = np.random.default_rng(0)
    spread = rng.normal(0, [0.01, 0.002, 0.005], (4000, 21, 3))
    found = joint_covariances(HAND.joints + spread)
    np.testing.assert_allclose(np.sqrt(np.einsum("jkk->jk", found)), np.tile([0.01, 0.002, 0.005], (21, 1)), rtol=0.1)
    with pytest.raises(InvalidInput, match="at least two"):
        joint_covariances(HAND.joints[None])


def test_the_runtime_adds_as_much_noise():
    """`pipeline.hypotheses` runs the same network without `diffusers`."""
    kept = schedule().alphas_cumprod
    for step in (0, 1, 200, 500, 999):
        assert kept_share(step / TIMES) == pytest.approx(float(kept[step]), rel=1e-4)


def test_noise_hides_everything_at_its_end():
    kept = schedule().alphas_cumprod
    assert float(kept[-1]) < 1e-4 and float(kept[0]) > 0.999
    assert len(schedule(10).timesteps) == 10 and int(schedule(10).timesteps[0]) == 999
