"""Real datasets and mixtures as what training takes its records from."""

import json
import pickle
from collections import Counter

import dataset_writers as writers
import numpy as np
import pytest
from fake import open_fake, project

from prehend.errors import AssetError, InvalidInput
from prehend.hand_model import load_hand_model, skin
from prehend_training.cli import main as cli
from prehend_training.data.crop_targets import from_box
from prehend_training.data.crops import CropBatches
from prehend_training.data.cuts import CropDataConfig
from prehend_training.data.records import record_of
from prehend_training.data.stores.datasets import (
    WINDOW,
    Cached,
    MixedDataset,
    RealDataset,
    ShardDataset,
    around_hand,
    window_counts,
)
from prehend_training.data.stores.online import OnlineDataset
from prehend_training.data.stores.open import DatasetChoice, Mixture, describe_data, open_training_data, renders
from prehend_training.datasets import open_dataset
from prehend_training.datasets.own_hand import own_pose
from prehend_training.engine.scenes import SceneConfig
from prehend_training.storage.twins import Twin, TwinFolder
from prehend_training.train.loop.machine import Budget, Machine
from prehend_training.train.presets import preset
from prehend_training.train.runs import Training, train_run

pytest_plugins = ("dataset_fixtures",)


@pytest.fixture(scope="session")
def roots(small_dexycb, freihand, hanco, tmp_path_factory):
    """Folder and split of each reader."""
    ho3d = tmp_path_factory.mktemp("ho3d-mixed")
    writers.write_ho3d(ho3d, "v3")
    return {
        "dexycb": (small_dexycb, "all"),
        "ho3d_v3": (ho3d, "train"),
        "freihand": (freihand[0], "training"),
        "hanco": (hanco[0], "all"),
    }


READERS = ("dexycb", "ho3d_v3", "freihand", "hanco")
KNOWN = {
    "dexycb": {"has_pose": (0, 1), "has_grasp": (1, 1), "has_segments": (1, 1), "has_visible": (1, 1)},
    "ho3d_v3": {"has_pose": (0, 1), "has_grasp": (1, 1), "has_segments": (1, 1), "has_visible": (1, 1)},
    "freihand": {"has_pose": (0, 1), "has_grasp": (0, 0), "has_segments": (0, 0), "has_visible": (0, 0)},
    "hanco": {"has_pose": (0, 1), "has_grasp": (0, 0), "has_segments": (1, 1), "has_visible": (1, 1)},
}
"""What is known without and with MANO's files."""


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("with_mano", [False, True])
def test_crops_of_a_dataset_say_what_is_known_and_fit_their_labels(name, with_mano, roots, mano):
    dataset = RealDataset(open_dataset(name, *roots[name], mano if with_mano else None))
    batch = CropBatches(dataset, CropDataConfig(absent_p=0.0, wrong_side_p=0.0), 1, 8).batch(0)
    for mark, values in KNOWN[name].items():
        expected = values[with_mano] if (name, mark) != ("hanco", "has_pose") else None  # its last frame has no fit
        assert expected is None or (batch[mark] == expected).all(), mark
    assert batch["has_joints"].all() and batch["right"].all() and batch["presence"].all()
    assert not batch["has_twin"].any()
    assert all(np.isfinite(value).all() for value in batch.values())
    for row in range(8):
        told = from_box(batch["keypoints"][row], batch["hand_box"][row])
        seen = project(batch["joints"][row] + batch["root"][row], batch["projection"][row])
        assert np.allclose(seen, told, atol=0.02)


@pytest.mark.parametrize("name", ["dexycb", "ho3d_v3", "freihand"])
def test_poses_of_a_dataset_are_those_of_our_hand(name, roots, mano):
    """The stand-in for MANO has our bones, so our hand in the pose found has the joints told, of left hands too."""
    dataset = RealDataset(open_dataset(name, *roots[name], mano))
    batch = CropBatches(dataset, CropDataConfig(absent_p=0.0, wrong_side_p=0.0), 1, 8).batch(0)
    posed = skin(load_hand_model(), batch["rotations"], batch["betas"]).joints
    assert np.abs(posed - posed[:, :1] - batch["joints"]).max() < 0.004


def test_the_pose_of_another_hand_points_our_bones_where_its_joints_are():
    rng, ours = np.random.default_rng(0), load_hand_model()
    theirs = writers.fake_mano()
    for _ in range(5):
        pose = writers.draw_pose(rng)
        stretched = pose.posed.joints * [1.1, 0.9, 1.0]  # no hand of ours: only the directions can be met
        rotations, betas = own_pose(pose.rotations, pose.betas, stretched, theirs)
        posed = skin(ours, rotations, betas).joints
        assert np.allclose(np.linalg.det(rotations), 1, atol=1e-5) and betas.shape == (10,)
        for finger in range(5):
            bones = [np.diff(joints[1 + 4 * finger : 5 + 4 * finger], axis=0) for joints in (posed, stretched)]
            a, b = (bone / np.linalg.norm(bone, axis=1, keepdims=True) for bone in bones)
            # skin of the fingertips moves a little with the pose
            assert (np.sum(a * b, 1) > [0.9999, 0.9999, 0.99]).all()


def test_backgrounds_of_datasets_stay(roots):
    dataset = RealDataset(open_dataset("dexycb", *roots["dexycb"]))
    config = CropDataConfig(absent_p=1.0, photometric=None, background_p=1.0)
    batch = CropBatches(dataset, config, 1, 8).batch(0)
    assert dataset.backdrop(np.random.default_rng(0)) is None
    assert not batch["presence"].any() and batch["right"].all()


def test_what_is_kept_of_a_picture_shows_the_same_in_fewer_pixels(roots):
    record = record_of(open_dataset("freihand", *roots["freihand"])[0], 1)
    record["image"] = np.broadcast_to(np.arange(224, dtype=np.uint8)[None, :, None], (224, 224, 3)).copy()
    for crop_px in (16, 32, 128):
        part = around_hand(record, crop_px)
        pixels = project(part["joints_m"][0], part["K"])
        assert np.allclose(pixels, part["keypoints_px"][0], atol=0.01)
        side = np.ptp(part["keypoints_px"][0], axis=0).max()
        assert side >= min(0.8 * crop_px, np.ptp(record["keypoints_px"][0], axis=0).max()) - 0.01
        assert part["segmentation"].shape == part["image"].shape[:2]
        # a pixel's grey is its column in the whole image
        x, y = part["keypoints_px"][0].T
        inside = (x > 0) & (y > 0) & (x < part["image"].shape[1] - 1) & (y < part["image"].shape[0] - 1)
        grey = part["image"][np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int), 0]
        half = 0.5 * np.linalg.norm(record["K"][0, 0] / part["K"][0, 0]) + 0.6
        assert np.abs(grey - record["keypoints_px"][0][inside, 0]).max() <= half


@pytest.fixture(scope="session")
def twins(roots, tmp_path_factory):
    """Grey twins of every other image."""
    folder = TwinFolder.claim(tmp_path_factory.mktemp("twins"), {"source": "freihand"})
    dataset = open_dataset("freihand", *roots["freihand"])
    for index in range(1, len(dataset), 2):
        twin = Twin(dataset[index].frame_id, index, 0.5, 0.7, (0.7,), (0.01,))
        folder.write(twin, np.full((224, 224, 3), 128, np.uint8), np.zeros((224, 224), bool))
    return folder.path


def test_twins_of_datasets_come_with_their_pictures(roots, twins):
    choice = DatasetChoice("freihand", *roots["freihand"], twins=twins)
    config = CropDataConfig(absent_p=0.0, photometric=None, smear_p=1.0)
    batch = CropBatches(open_training_data(choice, "crops"), config, 0, 12).batch(0)
    with_twin = batch["has_twin"] > 0
    assert with_twin.sum() == 6
    assert (batch["image_deoccluded"][with_twin] == 128).all()
    assert np.array_equal(batch["image_deoccluded"][~with_twin], batch["image"][~with_twin])
    assert not any(open_training_data(choice, "crops", twins=False)[index]["has_twin"] for index in range(12))


def test_a_twin_of_another_size_is_refused(roots, twins):
    class Small(TwinFolder):
        def read(self, frame_id):
            return np.zeros((2, 2, 3), np.uint8)

    dataset = RealDataset(open_dataset("freihand", *roots["freihand"]), twins=Small.open(twins))
    with pytest.raises(AssetError, match="as large as"):
        dataset[0]


def test_pictures_without_a_hand_give_way_to_others(roots):
    reader = open_dataset("dexycb", *roots["dexycb"])  # the first frame of each film shows no hand
    dataset = RealDataset(reader)
    bare = next(i for i in range(len(dataset)) if not reader[i].hands)
    assert np.array_equal(dataset[bare]["image"], dataset[bare]["image"])
    assert dataset[bare]["has_joints"].all()


# mixtures


def shards_and_scenes(crops):
    online = OnlineDataset(SceneConfig("crops", 5, 160), open_fake, backdrops=4)
    return MixedDataset([(ShardDataset([crops], "crops"), 3.0), (online, 1.0)])


def test_every_source_has_its_share_in_every_window(crops):
    mixed = shards_and_scenes(crops)
    drawn = [index for step in range(3 * WINDOW // 8) for index in mixed.indices(2, step, 8)]
    for start in range(0, len(drawn), WINDOW):
        assert Counter(index % 2 for index in drawn[start : start + WINDOW]) == {0: 750, 1: 250}
    # each source in its own order: shards once an epoch, scenes never twice
    shards = [index // 2 for index in drawn if index % 2 == 0]
    assert all(sorted(shards[k : k + 24]) == list(range(24)) for k in range(0, 24 * 90, 24))
    assert [index // 2 for index in drawn if index % 2 == 1] == list(range(3 * WINDOW // 4))
    spread = [sum(index % 2 for index in drawn[k : k + 40]) for k in range(0, WINDOW, 40)]
    assert min(spread) >= 2 and max(spread) <= 20


def test_a_mixture_depends_on_seed_and_step_alone(crops):
    first, again = (CropBatches(shards_and_scenes(crops), CropDataConfig(), 1, 6) for _ in range(2))
    for step in (170, 3):  # from any step on, across windows
        a, b = first.batch(step), again.batch(step)
        assert all(np.array_equal(a[name], b[name]) for name in a)
    mixed = shards_and_scenes(crops)
    assert mixed.indices(1, 5, 6) == shards_and_scenes(crops).indices(1, 5, 6) != mixed.indices(2, 5, 6)
    parts = [index for step in range(20, 40) for index in mixed.indices(1, step, 3)]
    assert parts == [index for step in range(10, 20) for index in mixed.indices(1, step, 6)]


def test_backgrounds_come_from_sources_that_have_them(crops, roots):
    dataset = RealDataset(open_dataset("freihand", *roots["freihand"]))
    rng = np.random.default_rng(0)
    mixed = MixedDataset([(dataset, 9.0), (ShardDataset([crops], "crops"), 1.0)])
    assert all(mixed.backdrop(rng)["image"].shape == (160, 160, 3) for _ in range(10))
    assert MixedDataset([(dataset, 1.0)]).backdrop(rng) is None
    looked = mixed.first(20)
    assert Counter(index % 2 for index in looked) == {0: 12, 1: 2}  # as many as the dataset has
    assert mixed[looked[-1]]["has_front"]


def test_shares_are_weights_over_their_sum():
    assert window_counts([1, 1, 1]) == (334, 333, 333)
    assert window_counts([80, 20]) == (800, 200)
    for wrong in ([1, 0], [1, -2], [1, np.nan], [1, 1e-6], []):
        with pytest.raises(InvalidInput, match="weight"):
            window_counts(wrong)


def test_a_cache_changes_nothing_but_the_time(crops):
    dataset = ShardDataset([crops], "crops")
    size = sum(value.nbytes for value in dataset[0].values())
    kept = Cached(dataset, 10.5 * size)
    batches = [CropBatches(source, CropDataConfig(), 1, 8) for source in (dataset, kept, kept)]
    made = [source.batch(2) for source in batches]
    for name in made[0]:
        assert all(np.array_equal(made[0][name], other[name]) for other in made[1:]), name
    held = [index for index in range(24) if kept[index] is kept[index]]
    assert 7 <= len(held) <= 12 and not pickle.loads(pickle.dumps(kept))._kept


# training


@pytest.mark.parametrize(("name", "with_mano"), [("dexycb", True), *((name, False) for name in READERS)])
def test_a_network_trains_on_each_dataset(name, with_mano, roots, mano, tmp_path):
    choice = DatasetChoice(name, *roots[name], mano if with_mano else None)
    train_run(Training(preset("debug-unihope"), choice, tmp_path, Budget(steps=2)), Machine(threads=1))
    (told,) = json.loads((tmp_path / "run.json").read_text())["data"]
    assert told["dataset"] == name and told["mano"] == (str(mano) if with_mano else None)
    assert json.loads((tmp_path / "checkpoint/progress.json").read_text())["skipped"] == 0


def test_a_network_trains_on_a_mixture_and_goes_on(crops, roots, mano, tmp_path):
    given = ["--data", f"{crops}=2", "--mano", str(mano), "--cache", "0.1", "--threads", "1"]
    for name in READERS:
        root, split = roots[name]
        given += ["--dataset", f"{name}:{root}:{split}=0.5"]
    for steps in ("2", "4"):
        assert cli.main(["train", "debug-unihope", str(tmp_path), "--steps", steps, *given]) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert [(entry.get("dataset"), entry["weight"]) for entry in run["data"]] == [
        (None, 2.0), *((name, 0.5) for name in READERS),
    ]  # fmt: skip
    assert json.loads((tmp_path / "checkpoint/progress.json").read_text())["step"] == 4
    given[1] = f"{crops}=3"
    assert cli.main(["train", "debug-unihope", str(tmp_path), "--steps", "6", *given]) == 1


def test_the_options_name_sources(crops, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "prehend_training.train.runs.train_run",
        lambda training, machine, *rest: seen.append((training.data, machine)),
    )

    def asked(*options):
        assert cli.main(["train", "debug-unihope", "run", "--steps", "1", *map(str, options)]) == 0
        return seen[-1]

    assert asked("--data", crops, "--data", crops)[0] == [crops, crops]
    data, machine = asked("--online")
    assert renders(data) and data.kind == "crops" and machine.workers == 1
    data, machine = asked("--data", crops, "--data", f"{crops}=3", "--dataset", "dexycb=2", "--online", 0.5)
    assert [weight for _, weight in data.parts] == [1.0, 3.0, 2.0, 0.5] and machine.workers == 1
    assert data.parts[2][0] == DatasetChoice("dexycb") and renders(data)
    choice, _ = asked("--dataset", "hanco:/a:test", "--twins", "/t", "--mano", "/m")
    assert (choice.name, str(choice.root), choice.split) == ("hanco", "/a", "test")
    assert (str(choice.twins), str(choice.mano)) == ("/t", "/m")
    assert asked("--data", crops, "--cache", 2)[0] == Mixture((([crops], 1.0),), 2.0)
    assert describe_data(Mixture((([crops], 1.0),), 2.0)) == describe_data([crops])


def test_sources_that_do_not_fit_are_refused(crops, roots):
    with pytest.raises(AssetError, match="every hand"):
        open_training_data(DatasetChoice("freihand", *roots["freihand"]), "frames")
    with pytest.raises(InvalidInput, match="weight"):
        open_training_data(Mixture((([crops], 1.0), ([crops], -1.0))), "crops")
    with pytest.raises(InvalidInput, match="at least one"):
        Mixture(())
