from dataclasses import replace

import numpy as np
import pytest

from prehend.backends import BackendSettings, open_backend
from prehend.errors import WeightsMismatch
from prehend.geometry.rotations import geodesic_angle, matrix_from_axis_angle
from prehend.hand_model import load_hand_model
from prehend.pipeline.hypotheses.denoiser import FEWEST_SPLIT, PoseDenoiser, kept_share
from prehend.pipeline.hypotheses.skeleton import spins_of
from prehend.weights import load_bundle

NONE = np.zeros(21, np.bool_)
STILL = np.broadcast_to(np.eye(3), (1, 16, 3, 3))


def fingers(seed, count=1, by=0.5):
    pose = np.zeros((count, 16, 3))
    pose[:, 1:, 2] = np.random.default_rng(seed).uniform(0, by, (count, 15))
    return matrix_from_axis_angle(pose)


def test_a_still_pose_is_the_models_own_mesh(denoiser):
    model = load_hand_model().without_forearm()
    mesh = denoiser.mesh(STILL)[0]
    every = model.v_template - model.joints_template[0]
    nearest = np.linalg.norm(mesh[:, None] - every[None], axis=2).min(1)
    assert mesh.shape == denoiser.noise_shape and nearest.max() < 1e-6


def test_without_noise_a_hand_stays_what_it_is(denoiser):
    spins = spins_of(fingers(0, 2))
    found = denoiser.denoised(spins, np.zeros((2, *denoiser.noise_shape)), 0.001, np.zeros((2, 21, 3)), NONE)
    assert np.rad2deg(geodesic_angle(found, spins)).mean() < 15.0
    np.testing.assert_allclose(found[:, 0], np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-9)


def test_a_hand_that_cannot_be_becomes_more_of_one(denoiser):
    """Fingers that are bent sideways by chance come back towards those that bend as fingers do."""
    rng = np.random.default_rng(2)
    odd = fingers(2, 4) @ matrix_from_axis_angle(rng.normal(0, 0.5, (4, 16, 3)) * [1.0, 1.0, 0.0])
    odd[:, 0] = np.eye(3)
    spins, noise = spins_of(odd), rng.normal(size=(4, *denoiser.noise_shape))
    found = denoiser.denoised(spins, noise, 0.3, np.zeros((4, 21, 3)), NONE)
    true = spins_of(fingers(2, 4))
    assert geodesic_angle(found, true).mean() < 0.85 * geodesic_angle(spins, true).mean()


def test_seeds_repeat_and_hands_of_a_batch_do_not_see_each_other(denoiser):
    spins = spins_of(fingers(3, 2))
    noise = np.random.default_rng(0).normal(size=(2, *denoiser.noise_shape))
    both = denoiser.denoised(spins, noise, 0.2, np.zeros((2, 21, 3)), NONE)
    alone = denoiser.denoised(spins[:1], noise[:1], 0.2, np.zeros((1, 21, 3)), NONE)
    np.testing.assert_allclose(both[:1], alone, atol=1e-4)
    assert np.array_equal(both, denoiser.denoised(spins, noise, 0.2, np.zeros((2, 21, 3)), NONE))


def test_two_threads_say_what_one_says(denoiser):
    backend = open_backend("onnx", load_bundle("hhmr-xs"), BackendSettings(threads=2))
    assert backend.at_once == 2
    beside = PoseDenoiser(backend, load_hand_model().without_forearm())
    for count in (1, FEWEST_SPLIT - 1, FEWEST_SPLIT, 9):
        spins = spins_of(fingers(4, count))
        noise = np.random.default_rng(1).normal(size=(count, *denoiser.noise_shape))
        asked = spins, noise, 0.2, np.zeros((count, 21, 3)), NONE
        np.testing.assert_allclose(beside.denoised(*asked), denoiser.denoised(*asked), atol=1e-5)


def test_what_is_kept_falls_to_nothing():
    shares = [kept_share(time) for time in (0.001, 0.2, 0.5, 1.0)]
    assert shares[0] > 0.999 and shares[-1] < 1e-4 and (np.diff(shares) < 0).all()


def test_other_weights_and_other_hand_models_are_named(prior):
    model = load_hand_model().without_forearm()
    palms = open_backend("onnx", load_bundle("palm"), BackendSettings(threads=1))
    with pytest.raises(WeightsMismatch, match="'palm' are no prior"):
        PoseDenoiser(palms, model)
    with pytest.raises(WeightsMismatch, match=r"are of the hand model 'prehend-hand-2'.* are of 'glove'"):
        PoseDenoiser(prior, replace(model, name="glove", sha256="0"))
