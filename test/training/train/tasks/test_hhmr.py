import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.errors import AssetError, InvalidInput
from prehend.export.bundle import save_bundle
from prehend.hand_model import load_hand_model
from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend.prior.sampler import HandPrior, Sampling
from prehend_training.cli.main import main
from prehend_training.evaluate.hhmr import PriorCheck, completion_report, draw_report, flat_hands, measure_prior
from prehend_training.prior.gaussian import GaussianHands
from prehend_training.prior.poses import poses_of_folders
from prehend_training.train.export import export_run
from prehend_training.train.loop.checkpoint import load_start
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, log_lines, train_run

MACHINE = Machine(threads=1)


@pytest.fixture(scope="module")
def run(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hhmr") / "run"
    train_run(Training(preset("debug-hhmr"), [crops], folder, Budget(steps=20)), MACHINE)
    return folder


def test_it_trains_is_judged_exported_and_drawn_from(run, crops, tmp_path, capsys):
    (line,) = log_lines(run)
    assert {"data", "vertices", "joints", "normals", "edges"} < line.keys() and np.isfinite(line["loss"])
    assert line["skipped"] == 0
    with pytest.raises(AssetError, match="was not measured"):
        export_run(run, tmp_path / "early")
    small = ["--drawn", "4", "--hands", "2", "--steps", "2", "--times", "2"]
    assert main(["hhmr", "evaluate", str(run), "--data", str(crops), "--train-data", str(crops), *small]) == 0
    table = capsys.readouterr().out
    assert "| run | PCA of 45 |" in table and "fitted picture joints mm" in table
    bundle = export_run(run, tmp_path / "tiny")
    assert bundle.manifest["hand_model"]["sha256"] == load_hand_model().sha256
    found = HandPrior.of_weights(tmp_path / "tiny").sample(2, None, Sampling(steps=2))
    assert np.isfinite(found.vertices_m).all() and 0.05 < np.ptp(found.joints_m[0], 0).max() < 0.3


def test_hhmr_train_is_the_same_loop(crops, run, tmp_path):
    """A run under the longer name of the command comes out bit by bit."""
    other = tmp_path / "other"
    arguments = ["hhmr", "train", "debug-hhmr", str(other), "--data", str(crops), "--steps", "20", "--threads", "1"]
    assert main(arguments) == 0
    one, two = (load_file(folder / "checkpoint" / "averaged.safetensors") for folder in (run, other))
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_step_lowers_the_loss_of_its_batch(crops):
    task = preset("debug-hhmr").task([crops])
    network = task.network()
    batch = to_tensors(task.source.batch(0), "cpu")
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(8):
        terms = task.terms(network, batch, 0.0)
        loss = terms["data"] + 20 * terms["vertices"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_the_terms_of_the_truth_are_nothing(crops):
    from prehend_training.prior.losses import prior_terms

    task = preset("debug-hhmr").task([crops])
    network = task.network()
    truth = torch.randn(2, 1596, 3)
    terms = prior_terms(truth, truth, torch.ones(2), task._surface_on(network))
    assert all(float(value) < 1e-6 for name, value in terms.items() if name != "normals")


def test_with_pictures_the_trunk_stays_as_it_is(crops, tmp_path):
    training = Training(preset("debug-hhmr-image"), [crops], tmp_path / "run", Budget(steps=2))
    train_run(training, MACHINE)
    torch.manual_seed(training.preset.seed)
    fresh = training.preset.task([crops]).network().state_dict()
    after = load_file(tmp_path / "run" / "checkpoint" / "network.safetensors")
    trunk = [name for name in after if ".trunk." in name]
    assert trunk and all(torch.equal(after[name], fresh[name]) for name in trunk)
    assert any(not torch.equal(after[name], fresh[name]) for name in after if ".image_in.project" in name)


def test_a_network_with_pictures_starts_from_the_pretrained_trunk_and_runs_on_every_backend(crops, tmp_path):
    network = preset("debug-hhmr-image").task([crops]).network()
    published, path = HandLandmarks(), tmp_path / "hand.safetensors"
    origin = dict.fromkeys(("source", "version", "file", "sha256", "licence"), "x") | {"network": "hand_landmark_full"}
    save_file({name: value.contiguous() for name, value in published.state_dict().items()}, path, metadata=origin)
    load_start([path], network)
    wanted = dict(published.trunk.named_parameters())
    assert all(torch.equal(value, wanted[name]) for name, value in network.network.image_in.trunk.named_parameters())
    bundle = save_bundle(network.network, tmp_path / "tiny", "hhmr-s", {"licence": "none"})
    assert list(bundle.stages) == ["look", "denoise"]


def test_sources_that_it_cannot_learn_from_are_named(crops):
    from prehend_training.data.stores.open import Mixture

    with pytest.raises(InvalidInput, match="learns from the poses of folders"):
        preset("hhmr-xs").task(Mixture((([crops], 1.0),)))
    with pytest.raises(InvalidInput, match="cannot be trained from memory"):
        preset("hhmr-xs").load([crops], "cpu")


def test_principal_components_know_the_hands_they_are_from(crops):
    """A PCA of a few hands draws hands of their size, and gives them back from little noise."""
    poses = poses_of_folders([crops])
    model = load_hand_model()
    meshes, _ = flat_hands(HandPrior(preset("debug-hhmr").build(), model), poses)
    network = GaussianHands(meshes, 12).eval()
    clean = (torch.from_numpy(meshes[:2]) - network.mesh.mean.reshape(-1, 3)) / network.config.spread_m
    top = network.mesh.of_mesh(clean, network.config.top)
    (found,) = network.denoise(top, torch.full((2, 1), 0.001))
    assert (found - clean).abs().mean() < 0.05
    prior = HandPrior(network, model, "pca")
    check = PriorCheck(drawn=6, hands=2, steps=4)
    drawn = draw_report(prior, poses, check)
    assert 1 < drawn["diversity_mm"] < 60 and 0 < drawn["coverage"] <= 1
    completed = completion_report(prior, poses_of_folders([crops], 2), check)
    assert completed["best_of_16_mm"] <= completed["best_of_8_mm"] <= completed["best_of_1_mm"]


def test_a_report_names_everything(crops):
    model = load_hand_model()
    poses = poses_of_folders([crops])
    network = GaussianHands(flat_hands(HandPrior(preset("debug-hhmr").build(), model), poses)[0], 4).eval()
    report = measure_prior(HandPrior(network, model), poses, PriorCheck(drawn=2, hands=2, steps=2, times=(2,)))
    assert set(report) == {"drawn", "completed", "fitted", "seconds", "steps", "hands"}
    assert report["fitted"]["best_space_joints_mm"] < 30 and set(report["seconds"]) == {"2"}
