"""The real estimator behind the node."""

import cv2
import numpy as np
import pytest

from prehend.errors import PrehendError, UnknownName
from prehend.hand_model.asset import load_hand_model
from prehend.resources import resource
from prehend.ros.nodes.estimator import load_for, load_what_can_be
from prehend.ros.params import NodeParams
from prehend.weights import available

NAMES = ("unihope-s", "palm")


@pytest.fixture(scope="module")
def params(tmp_path_factory) -> NodeParams:
    """Parameters that name a hand network and a detector: the shipped ones, or random ones where none are shipped."""
    if set(NAMES) <= set(available()):
        return NodeParams().updated({"threads": 1})
    torch = pytest.importorskip("torch", reason="no weights are shipped, and making some needs the extra 'torch'")
    pytest.importorskip("onnx", reason="no weights are shipped, and making some needs onnx")
    from prehend.export.bundle import save_bundle
    from prehend.models.registry import NETWORKS

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        save_bundle(NETWORKS[name].build(NETWORKS[name].config), folder / name, name, {"licence": "Apache-2.0"})
    return NodeParams().updated({"model": str(folder / NAMES[0]), "detector": str(folder / NAMES[1]), "threads": 1})


def test_the_facts_are_those_of_the_parts(params):
    facts = load_for(params).facts
    for side in ("left", "right"):
        model = load_hand_model(side=side)
        np.testing.assert_array_equal(facts.faces[side], model.faces)
        assert (facts.num_vertices, facts.hand_model[:2]) == (model.num_vertices, (model.name, model.sha256))
    assert facts.hand_model[2] == "CC0-1.0"
    assert facts.weights[0] == "unihope-s" and len(facts.weights[1]) == 64 and facts.weights[2] == "Apache-2.0"
    assert all(points.shape == (21, 3) for points in facts.objects.values()) and facts.objects


def test_what_answers_is_told_and_not_what_was_asked_for(params):
    asked = load_for(params)
    assert (
        asked.said.startswith(f"{asked.facts.weights[0]} and detector ") and " on onnx float32, 1 threads" in asked.said
    )
    fell = load_for(params.updated({"provider": "cuda", "engine_policy": "fallback"}))
    if not fell.estimator.notes:
        pytest.skip("this ONNX Runtime runs on a GPU here")
    assert " on onnx, 1 threads" in fell.said and "cuda" not in fell.said
    assert fell.facts.backend == "onnx" and "provider 'cuda'" in fell.estimator.notes[0]


def test_frames_beyond_what_is_remembered_are_as_many_as_the_weights_look_at(params):
    """As are frames that are remembered, and that the weights do not look at: 9 and 6 of the weights that ship."""
    clip, answers = cv2.VideoCapture(str(resource("hands.mp4"))), []
    images = [cv2.cvtColor(clip.read()[1], cv2.COLOR_BGR2RGB) for _ in range(12)]
    for frames, said in ((0, ""), (9, "temporal_frames is 9"), (6, "temporal_frames is 6")):
        loaded, current, notes = load_what_can_be(load_for, params.updated({"temporal_frames": frames}))
        told = [note for note in (*loaded.notes, *notes) if "temporal_frames" in note]
        assert len(told) == (1 if said else 0) and all(said in note and "the node goes on" in note for note in told)
        loaded.estimator.change(current.updated({"max_hands": 2}).options())
        results = [loaded.estimator.estimate(image, stamp=k / 15) for k, image in enumerate(images)]
        answers.append([hand.joints_m for result in results for hand in result.hands])
        loaded.estimator.close()
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_an_image_gets_an_answer(params):
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    result = load_for(params).estimator.estimate(image, None, 1.0)
    assert result.found and result.timing_ms["total"] > 0


@pytest.mark.parametrize("values", [{"model": "unihope-z"}, {"object_id": "unobtainium"}])
def test_unknown_names_are_named(params, values):
    with pytest.raises(UnknownName, match=next(iter(values.values()))):
        load_for(params.updated(values))


def test_the_node_runs_with_it_and_ends_cleanly(params, peer, start):
    from prehend.ros import messages as m

    infos = peer.listen("/prehend/model_info", m.MODEL_INFO, latched=True)
    arguments = [f"{name}:={getattr(params, name)}" for name in ("model", "detector", "threads")]
    node = start("prehend", "node", "--ros-args", *(word for argument in arguments for word in ("-p", argument)))
    peer.until(lambda: infos, "model info")
    assert infos[0].num_vertices * 3 > len(infos[0].joint_names)
    node.terminate()
    assert node.wait(60) == 0


def test_a_parameter_of_an_old_name_is_told_of(params):
    (note,) = load_for(params.updated({"finder": params.detector})).notes
    assert "finder" in note and "detector" in note


def test_a_broken_object_of_ones_own_matters_only_to_who_names_one(params, tmp_path, monkeypatch):
    (tmp_path / "cup.yaml").write_text("name: [")
    monkeypatch.setenv("PREHEND_OBJECTS", str(tmp_path))
    assert "cup.yaml" in load_for(params).notes[0]
    with pytest.raises(PrehendError, match=r"cup\.yaml"):
        load_for(params.updated({"object_id": "mug"}))


def test_a_name_that_no_file_can_have_is_an_error_of_ours(params):
    with pytest.raises(PrehendError):
        load_for(params.updated({"model": "a" * 5000}))
