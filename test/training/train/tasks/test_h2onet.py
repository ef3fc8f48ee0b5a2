from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.settings import BackendSettings
from prehend.backends.torch_ import load_network
from prehend.errors import AssetError
from prehend.export.bundle import save_bundle
from prehend.models.meshes.h2onet import FRAMES, KEPT
from prehend.models.trunks.hand_landmarks import HandLandmarks
from prehend_training.data.stores.groups import ShardGroups
from prehend_training.fusion.answers import EXACT, FOLLOWED_VIEW, _looks
from prehend_training.fusion.mesh_answers import mesh_answers_key, mesh_answers_of
from prehend_training.fusion.windows import FusionWindows
from prehend_training.train.loop.checkpoint import load_result, load_start
from prehend_training.train.loop.machine import Budget, Machine, to_tensors
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, log_lines, train_run
from prehend_training.train.tasks.h2onet import H2ONET_PRESETS, H2ONetPreset, H2ONetTask

MACHINE = Machine(threads=1)


@pytest.fixture(scope="module")
def runs(crops, films, tmp_path_factory):
    """Both stages of the debug network, one after the other."""
    folder = tmp_path_factory.mktemp("h2onet")
    first = Training(preset("debug-h2onet-frame"), [crops], folder / "frame", Budget(steps=20))
    train_run(first, MACHINE)
    train_run(Training(preset("debug-h2onet"), [films], folder / "fused", Budget(steps=20), [first.run]), MACHINE)
    return folder


def result(run):
    return load_file(run / "checkpoint" / "averaged.safetensors")


def test_both_stages_train_export_and_run(runs, tmp_path):
    for stage, names in (("frame", {"vertices", "rotation", "occlusion", "presence"}), ("fused", {"vertices"})):
        (line,) = log_lines(runs / stage)
        assert names < line.keys() and np.isfinite(line["loss"]) and line["skipped"] == 0
    network = preset("debug-h2onet").build()
    load_result(runs / "fused" / "checkpoint" / "averaged.safetensors", network)
    bundle = save_bundle(network, tmp_path / "h2onet", "h2onet-s", {"licence": "none"})
    backend = OnnxBackend(bundle, BackendSettings(threads=1))
    size = network.config.size
    frame = backend.infer("encode", {"image": np.random.default_rng(0).random((1, 3, size, size), np.float32)})
    window = {f"window_{name}": np.stack([frame[name]] * FRAMES, 1) for name in KEPT}
    window["window_turn"] = np.broadcast_to(np.eye(3, dtype=np.float32), (1, FRAMES, 3, 3)).copy()
    mesh = backend.infer("decode", window | {"window_known": np.ones((1, FRAMES), np.float32)})
    joints = mesh["joints"][0]
    assert np.abs(joints[0]).max() == 0 and 0.03 < np.linalg.norm(joints[12]) < 0.3  # a hand's size


def test_the_second_stage_leaves_the_first_as_it_was(runs):
    """Statistics of normalisation included."""
    before, after = result(runs / "frame"), result(runs / "fused")
    fusion = ("network.shared_turn.", "network.move_by.", "network.age")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith(fusion) for name in changed)


def mesh_answers(films):
    return {path: path.stat().st_mtime_ns for path in films.glob("mesh-answers-*")}


def test_what_single_frames_say_is_made_once_and_kept(runs, films, tmp_path, monkeypatch):
    """Whoever starts from the same weights draws windows from it, and looks at no image again."""
    chosen, kept = preset("debug-h2onet"), mesh_answers(films)
    assert kept

    def asleep(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr("prehend_training.fusion.mesh_answers._said", asleep)
    training = Training(chosen, [films], tmp_path / "again", Budget(steps=2), [runs / "frame"])
    train_run(training, MACHINE)
    assert mesh_answers(films) == kept
    monkeypatch.undo()
    stranger = Training(replace(chosen, seed=77), [films], tmp_path / "other", Budget(steps=1))
    train_run(stranger, MACHINE)  # weights of its own
    assert len(mesh_answers(films)) == len(kept) + 1


def test_kept_answers_are_what_the_network_says_of_images(runs, films):
    """Windows of answers and of the same images, both of exact crops, have the same terms."""
    task = preset("debug-h2onet").task([films])
    network = task.network()
    load_start([runs / "fused"], network)
    network.eval()
    shards = ShardGroups(films, "sequences")
    answers = mesh_answers_of(network.network, films, EXACT)
    first = next(iter(_looks(shards, EXACT, 0, network.network.config.size)))
    with torch.no_grad():
        said = network.network.encode(torch.from_numpy(first.crop.image[None]))
    for name in KEPT:
        got, wanted = answers.arrays[name][0].astype(np.float32), getattr(said, name)[0].numpy()
        np.testing.assert_allclose(got, wanted, atol=2e-3 * max(1, np.abs(wanted).max()), err_msg=name)
    windows = FusionWindows(answers, replace(task.preset.data, jitter=0.0, cut_p=0.0), 0, 4, KEPT)
    batch = to_tensors(windows.batch(0), "cpu")
    terms = task.terms(network, batch, 0.0)
    assert terms.keys() == {"vertices", "joints", "turned_vertices", "turned_joints", "normals", "edges", "rotation"}
    mesh = network.network.decode(*(batch[f"window_{name}"] for name in (*KEPT, "turn", "known")))
    off = (mesh.joints - (batch["joints"] - batch["joints"][:, :1])).abs().mean()
    torch.testing.assert_close(terms["turned_joints"], off, atol=2e-3, rtol=0)


def test_another_trunk_view_or_film_has_answers_of_its_own_and_another_fusion_has_not(films):
    shards = ShardGroups(films, "sequences")
    network = preset("debug-h2onet").build()
    key = mesh_answers_key(network, shards, EXACT)
    with torch.no_grad():
        for parameter in network.fusion_parts():
            parameter.add_(1)
    assert mesh_answers_key(network, shards, EXACT) == key
    assert mesh_answers_key(network, shards, FOLLOWED_VIEW) != key
    with torch.no_grad():
        network.orient[0].bias.add_(1)
    assert mesh_answers_key(network, shards, EXACT) != key


def test_runs_with_the_fusion_of_before_give_their_single_frames(runs, films, tmp_path):
    """What several frames add is of another kind there, and starts fresh; of the same kind it is taken."""
    older = replace(preset("debug-h2onet-frame"), config=replace(preset("debug-h2onet").config, turns="chosen"))
    state = {f"network.{name}": value for name, value in older.build().state_dict().items()}
    run = tmp_path / "older"
    (run / "checkpoint").mkdir(parents=True)
    save_file(state, run / "checkpoint" / "averaged.safetensors")
    (run / "run.json").write_text('{"numbers": {}}')
    network = preset("debug-h2onet").task([films]).network()
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    load_start([run], network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, fresh[name] if name.startswith(network.fusion) else state[name]), name
    bundle = save_bundle(older.build(), tmp_path / "bundle", "h2onet-s", {"licence": "none"})
    load_start([bundle.folder], network)
    stored = load_network(bundle).state_dict()
    for name, value in network.network.state_dict().items():
        if not f"network.{name}".startswith(network.fusion):
            assert torch.equal(value, stored[name]), name
    load_start([runs / "fused"], network)
    assert all(torch.equal(value, result(runs / "fused")[name]) for name, value in network.state_dict().items())


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(runs, films, tmp_path):
    for steps in (8, 20):
        budget = Budget(steps=steps)
        train_run(Training(preset("debug-h2onet"), [films], tmp_path / "run", budget, [runs / "frame"]), MACHINE)
    for name, value in result(tmp_path / "run").items():
        # the schedule follows the budget: what does not learn is the same to the bit, the rest nearly
        torch.testing.assert_close(value, result(runs / "fused")[name], atol=0.05, rtol=0.2)


@pytest.mark.parametrize("name", ["debug-h2onet-frame", "debug-h2onet", "debug-h2onet-all"])
def test_what_has_a_gradient_is_what_is_trained(name, crops, films):
    chosen = preset(name)
    task = chosen.task([films] if chosen.trains in ("fusion", "all") else [crops])
    network = task.network().train()
    with torch.no_grad():  # what begins at nothing hides what is behind it
        for parameter in network.network.fusion_parts():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    batch = to_tensors(task.source.batch(0), "cpu")
    terms = task.terms(network, batch, 0.5)
    assert terms.keys() <= vars(chosen.loss).keys()
    torch.stack(list(terms.values())).sum().backward()
    for label, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, label
    learns = {label.split(".")[1] for label, p in network.named_parameters() if p.requires_grad}
    assert ("shared_turn" in learns) == (chosen.trains != "frame")
    assert ("occlusion" in learns) == (chosen.trains != "fusion")


def test_the_first_stage_of_the_paper_asks_nothing_of_the_orientation(crops):
    task = H2ONetTask(replace(preset("debug-h2onet-frame"), trains="mesh"), [crops])
    network = task.network().train()
    terms = task.terms(network, to_tensors(task.source.batch(0), "cpu"), 0.0)
    assert "vertices" in terms and not {"rotation", "turned_joints"} & terms.keys()
    assert not any(p.requires_grad for p in network.network.orientation_parts())


def test_frames_that_are_not_there_teach_nothing(films):
    task = preset("debug-h2onet-all").task([films])
    network = task.network().eval()
    batch = to_tensors(task.source.batch(0), "cpu")
    batch["known"] = torch.tensor([1.0, 0, 0] * 2)
    noise = {name: value.clone() for name, value in batch.items()}
    for row in (1, 2, 4, 5):
        for name in ("keypoints", "rotations", "betas", "part_seen"):
            noise[name][row] = torch.rand_like(noise[name][row])
    one, other = (task.terms(network, given, 0.0) for given in (batch, noise))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], msg=name)


def test_the_pretrained_trunk_is_a_start(tmp_path):
    origin = dict.fromkeys(("source", "version", "file", "sha256", "licence"), "x") | {"network": "hand_landmark_full"}
    torch.manual_seed(3)
    published = HandLandmarks().eval()
    state = {name: value.contiguous() for name, value in published.state_dict().items()}
    save_file(state, tmp_path / "hand.safetensors", metadata=origin)
    from prehend.models.meshes.h2onet import H2ONET_LITE, build_h2onet

    network = build_h2onet(H2ONET_LITE)
    load_start([tmp_path / "hand.safetensors"], network)
    image = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        want, said = published(image), network.eval().encode(image)
    places = want.landmarks.reshape(1, 21, 3)[..., :2] / 224
    torch.testing.assert_close(said.places, places, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(said.presence_logit, want.presence)
    torch.testing.assert_close(said.side_logit, want.handedness)


def test_what_was_pretrained_learns_slowly(crops):
    network = preset("debug-h2onet-frame").task([crops]).network()
    slow = {id(parameter) for parameter in network.pretrained()}
    named = {name for name, parameter in network.named_parameters() if id(parameter) in slow}
    assert {name.split(".")[1] for name in named} == {"seen", "presence", "side"}
    assert "network.seen.pyramid.laterals.0.0.weight" not in named


def test_data_of_the_other_stage_are_refused(crops, frames):
    with pytest.raises(AssetError, match="crops"):
        preset("debug-h2onet-frame").task([frames])
    with pytest.raises(AssetError, match="sequences"):
        preset("debug-h2onet").task([crops])


def test_presets_have_the_sizes_of_their_network():
    for chosen in H2ONET_PRESETS:
        assert preset(chosen.name) is chosen
        if isinstance(chosen, H2ONetPreset):  # those of the fusion see answers, no images
            assert chosen.data.size_px == chosen.config.size
