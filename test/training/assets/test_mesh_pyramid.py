import sys

import numpy as np
import pytest
from dataset_writers import fake_mano

from prehend.errors import AssetError, MissingDependency
from prehend.hand_model import load_hand_model
from prehend.hand_model.meshes.pyramid import MeshPyramid
from prehend_training.assets.mesh_pyramid import LEVELS, SPIRAL, hand_pyramid, own_pyramid, thinned

pytest.importorskip("fast_simplification")
pytest.importorskip("trimesh")


@pytest.fixture(scope="module")
def pyramid() -> MeshPyramid:
    return own_pyramid()


def test_each_level_has_half_the_vertices_of_the_next_and_only_its_own(pyramid: MeshPyramid) -> None:
    sizes = pyramid.sizes
    assert len(sizes) == LEVELS and sizes[-1] == load_hand_model().num_vertices
    for coarse, fine in zip(pyramid.kept, pyramid.kept[1:], strict=False):
        assert len(coarse) == -(-len(fine) // 2) == len(set(coarse))
        assert set(coarse) <= set(fine)


def test_what_is_constant_or_linear_goes_up_as_it_is(pyramid: MeshPyramid) -> None:
    """A field that is linear in space is met to the distance between the levels' surfaces: millimetres."""
    template = load_hand_model().v_template
    for k, (vertices, weights) in enumerate(zip(pyramid.up_vertices, pyramid.up_weights, strict=True)):
        np.testing.assert_allclose((np.ones(pyramid.sizes[k])[vertices] * weights).sum(1), 1, atol=1e-6)
        carried = (template[pyramid.kept[k]][vertices] * weights[..., None]).sum(1)
        off_mm = np.linalg.norm(carried - template[pyramid.kept[k + 1]], axis=1) * 1e3
        assert off_mm.mean() < 1.5 and off_mm.max() < 15


def test_a_vertex_that_stays_is_carried_by_itself(pyramid: MeshPyramid) -> None:
    for k, (vertices, weights) in enumerate(zip(pyramid.up_vertices, pyramid.up_weights, strict=True)):
        row_of = {vertex: row for row, vertex in enumerate(pyramid.kept[k])}
        for row, vertex in enumerate(pyramid.kept[k + 1]):
            if vertex in row_of:
                share = weights[row][vertices[row] == row_of[vertex]].sum()
                assert share == pytest.approx(1, abs=1e-3)


def test_spirals_are_near_and_whole(pyramid: MeshPyramid) -> None:
    template = load_hand_model().v_template
    for spirals, kept in zip(pyramid.spirals, pyramid.kept, strict=True):
        assert spirals.shape[1] == SPIRAL
        assert (spirals[:, 0] == np.arange(len(kept))).all()
        assert all(len(set(spiral)) == SPIRAL for spiral in spirals)
        places = template[kept]
        assert np.linalg.norm(places[spirals] - places[:, None], axis=2).max() < 0.12


def test_all_parts_of_the_hand_are_there(pyramid: MeshPyramid) -> None:
    model = load_hand_model()
    assert set(pyramid.parts) == set(range(6))
    assert (pyramid.parts[model.tips] == np.arange(5)).all()


def test_it_comes_out_the_same_every_time(pyramid: MeshPyramid) -> None:
    again = hand_pyramid(load_hand_model())
    for name in ("spirals", "up_vertices", "up_weights", "kept"):
        for one, other in zip(getattr(pyramid, name), getattr(again, name), strict=True):
            np.testing.assert_array_equal(one, other)


def test_any_hand_has_one() -> None:
    """With the forearm it is another mesh, and a left hand's faces turn the other way."""
    model = load_hand_model(side="left", forearm=True)
    pyramid = hand_pyramid(model, levels=3)
    assert pyramid.sizes == (-(-model.num_vertices // 4), -(-model.num_vertices // 2), model.num_vertices)


def test_a_hand_of_manos_size_has_the_levels_of_the_paper() -> None:
    """H2ONet, section 3.2: 49, 98, 195, 389 and 778 vertices."""
    pyramid = hand_pyramid(fake_mano())
    assert pyramid.sizes == (49, 98, 195, 389, 778)
    assert set(pyramid.parts) == set(range(6))


def test_a_mesh_in_pieces_is_refused() -> None:
    tetrahedra = np.concatenate([np.eye(4, 3) + 10 * k for k in range(40)])
    sides = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    faces = np.concatenate([sides + 4 * k for k in range(40)])
    with pytest.raises(AssetError, match="pieces"):
        thinned(tetrahedra, faces, 5)


def test_without_the_library_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    with pytest.raises(MissingDependency, match=r"pip install '\S*\[meshes\]'"):
        hand_pyramid(load_hand_model())
