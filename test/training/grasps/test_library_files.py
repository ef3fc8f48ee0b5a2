"""Files of grasps keep what they are given, and those that are damaged say so in one line with the way out."""

import numpy as np
import pytest

from prehend.documents import read_arrays
from prehend.errors import AssetError, OutputError
from prehend_training.grasps.closing import Hands
from prehend_training.grasps.kinds import KINDS
from prehend_training.grasps.library import (
    ANGLE_STEP_RAD,
    PLACE_STEP_M,
    SCHEMA,
    SHIPPED,
    GraspSet,
    library_ids,
    load_grasps,
    sample_grasp,
    save_grasps,
)
from prehend_training.grasps.search.fresh import POOL, pooled
from prehend_training.objects.asset_split import HELD_OUT_OBJECTS, drawn_from

WAY_OUT = "`prehend-train grasps`"


def some_grasps(count=7, seed=0, object_id="ball"):
    """Random hands anywhere: a file keeps any of them."""
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (count, 1, 1))
    turns = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    T[:, :3, :3] = turns * np.linalg.det(turns)[:, None, None]
    T[:, :3, 3] = rng.uniform(-0.3, 0.3, (count, 3))
    hands = Hands(
        rng.normal(size=(count, 10)), rng.uniform(-1.5, 1.5, (count, 15, 3)), T, rng.uniform(0.5, 1.5, (count, 3))
    )
    kinds = rng.choice(sorted(KINDS), count)
    return GraspSet(object_id, kinds, hands, rng.random((count, 6)) < 0.5, rng.uniform(-0.1, 0.1, count))


def changed(path, **changes):
    """The file with arrays replaced, or left out for None."""
    arrays = {**read_arrays(path), **changes}
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.fixture
def saved(tmp_path):
    save_grasps(tmp_path / "ball.npz", some_grasps())
    return tmp_path / "ball.npz"


@pytest.mark.parametrize("seed", range(3))
def test_any_grasps_come_back_as_near_as_the_file_is_fine(tmp_path, seed):
    grasps = some_grasps(40, seed)
    save_grasps(tmp_path / "ball.npz", grasps)
    back = load_grasps("ball", tmp_path)
    assert back.object_id == "ball" and len(back) == 40
    assert back.kinds.tolist() == grasps.kinds.tolist()
    np.testing.assert_array_equal(back.contact, grasps.contact)
    np.testing.assert_allclose(back.clearance_m, grasps.clearance_m, atol=1e-4)
    np.testing.assert_allclose(back.hands.angles, grasps.hands.angles, atol=ANGLE_STEP_RAD / 2 + 1e-9)
    np.testing.assert_allclose(back.hands.betas, grasps.hands.betas, atol=2e-3)
    np.testing.assert_allclose(back.hands.scale, grasps.hands.scale, atol=6e-4)
    places, turns = back.hands.T_object_hand[:, :3, 3], back.hands.T_object_hand[:, :3, :3]
    np.testing.assert_allclose(places, grasps.hands.T_object_hand[:, :3, 3], atol=PLACE_STEP_M / 2 + 1e-9)
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (40, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)
    np.testing.assert_allclose(turns, grasps.hands.T_object_hand[:, :3, :3], atol=2e-4)


def test_a_file_that_is_read_and_written_again_does_not_drift(tmp_path, saved):
    once = load_grasps("ball", tmp_path)
    (tmp_path / "again").mkdir()
    save_grasps(tmp_path / "again" / "ball.npz", once)
    first, second = read_arrays(saved), read_arrays(tmp_path / "again" / "ball.npz")
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], name)


def test_rows_of_a_set_are_those_of_all_its_parts():
    grasps = some_grasps(9)
    chosen = grasps.rows(np.array([7, 2]))
    assert len(chosen) == 2 and chosen.kinds.tolist() == grasps.kinds[[7, 2]].tolist()
    np.testing.assert_array_equal(chosen.hands.T_object_hand, grasps.hands.T_object_hand[[7, 2]])
    np.testing.assert_array_equal(chosen.contact, grasps.contact[[7, 2]])
    np.testing.assert_array_equal(grasps.rows(grasps.clearance_m > 0).clearance_m > 0, True)


BROKEN = {
    "no schema": {"schema": None},
    "another schema": {"schema": np.array("prehend.hand/1")},
    "no betas": {"betas": None},
    "no angles": {"angles": None},
    "no kinds": {"kind": None},
    "a kind beyond the names": {"kind": np.full(7, 200, np.uint8)},
    "a kind that nobody knows": {"kind_names": np.array(["teapot"] * len(KINDS))},
    "kinds of fewer grasps": {"kind": np.zeros(6, np.uint8)},
    "angles of fewer joints": {"angles": np.zeros((7, 14, 3), np.int16)},
    "betas of another model": {"betas": np.zeros((7, 12), np.float16)},
    "text for a shape": {"betas": np.full((7, 10), "x")},
    "places that are nowhere": {"place": np.full((7, 3), np.nan)},
    "turns that are none": {"turn": np.zeros((7, 4), np.int16)},
    "an object of no size": {"scale": np.zeros((7, 3), np.float16)},
    "contacts of floats": {"contact": np.zeros((7, 1))},
    "clearances without end": {"clearance": np.full(7, np.inf, np.float16)},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, saved, what):
    changed(saved, **BROKEN[what])
    with pytest.raises(AssetError) as told:
        load_grasps("ball", tmp_path)
    said = str(told.value)
    assert str(saved) in said and WAY_OUT in said and "\n" not in said


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_half_a_file_is_named_with_the_way_out(tmp_path, saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(AssetError, match=r"ball\.npz cannot be read.*prehend-train grasps"):
        load_grasps("ball", tmp_path)


def test_nothing_in_a_file_is_unpickled(tmp_path, saved):
    changed(saved, kind_names=np.array(sorted(KINDS), object))
    with pytest.raises(AssetError, match=r"ball\.npz cannot be read"):
        load_grasps("ball", tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, saved):
    before = saved.read_bytes()
    (tmp_path / "ball.npz.d").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_grasps(tmp_path / "no folder" / "ball.npz", some_grasps(2))
    with pytest.raises(OutputError, match="cannot be written"):
        save_grasps(tmp_path / "ball.npz.d", some_grasps(2))
    assert saved.read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if "part" in path.name]


def test_a_folder_holds_only_what_the_catalogue_knows(tmp_path, saved):
    (tmp_path / "unheard_of.npz").write_bytes(saved.read_bytes())
    (tmp_path / "box.txt").write_text("no grasps")
    assert library_ids(tmp_path) == ("ball",)
    with pytest.raises(AssetError, match=r"no grasps of 'box'.*prehend-train grasps"):
        load_grasps("box", tmp_path)


def test_asked_for_what_no_grasp_is_the_sampler_says_what_it_was_asked(tmp_path, saved):
    changed(saved, clearance=np.full(7, -0.01, np.float16))
    with pytest.raises(AssetError, match="no grasp of 'ball' of kind None from a table"):
        sample_grasp(np.random.default_rng(0), "ball", from_table=True, folder=tmp_path)
    assert sample_grasp(np.random.default_rng(0), "ball", folder=tmp_path).solid.object_id == "ball"


def test_a_split_without_an_object_of_the_folder_has_no_grasps(tmp_path, saved):
    assert "ball" not in HELD_OUT_OBJECTS
    with drawn_from("held-out"), pytest.raises(AssetError, match="no grasp of kind"):
        sample_grasp(np.random.default_rng(0), folder=tmp_path)


def test_the_hand_nearest_in_shape_is_taken(tmp_path):
    grasps = some_grasps(8)
    grasps.hands.betas[:] = np.arange(8)[:, None] - 4
    save_grasps(tmp_path / "ball.npz", grasps)
    for size in (-4, 0, 3):
        drawn = sample_grasp(np.random.default_rng(0), "ball", betas=np.full(10, size + 0.2), folder=tmp_path)
        np.testing.assert_allclose(drawn.betas, size, atol=1e-2)


@pytest.fixture
def own_pool(tmp_path):
    """The first grasps of the shipped pool, in a folder of their own."""
    arrays = read_arrays(SHIPPED / POOL)
    rows = {name: array if name == "kind_names" else array[:3] for name, array in arrays.items()}
    np.savez_compressed(tmp_path / POOL, **rows)
    return tmp_path / POOL


def test_a_pool_gives_what_it_holds_and_names_what_it_does_not(own_pool):
    grasp, shipped = pooled(2, own_pool.parent), pooled(2)
    np.testing.assert_array_equal(grasp.angles, shipped.angles)
    np.testing.assert_array_equal(grasp.T_hand_object, shipped.T_hand_object)
    for number in (3, -1):
        with pytest.raises(AssetError, match=rf"3 grasps and none of number {number}.*prehend-train grasps"):
            pooled(number, own_pool.parent)


@pytest.mark.parametrize(
    "changes",
    [
        {"betas": None},
        {"kind": np.full(3, 99)},
        {"extents": np.zeros((2, 3))},
        {"attempt": None},
        {"turn": np.zeros((3, 4), np.int16)},
        {"kind_names": np.array(["teapot"] * len(KINDS))},
        {"extents": np.ones((3, 3), np.float32)},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_a_damaged_pool_is_named_with_the_way_out(own_pool, changes):
    changed(own_pool, **changes)
    with pytest.raises(AssetError) as told:
        pooled(0, own_pool.parent)
    assert str(own_pool) in str(told.value) and WAY_OUT in str(told.value) and "\n" not in str(told.value)


def test_a_pool_that_is_no_archive_is_named(own_pool):
    own_pool.write_text(SCHEMA)
    with pytest.raises(AssetError, match=r"pool\.npz cannot be read.*prehend-train grasps"):
        pooled(0, own_pool.parent)
