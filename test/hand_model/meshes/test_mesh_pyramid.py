from dataclasses import replace

import numpy as np
import pytest

from prehend.errors import InvalidInput
from prehend.hand_model.meshes.pyramid import MeshPyramid, halved_sizes, spirals_of


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A flat square of side^2 vertices, counter-clockwise from above; neighbours along x are the nearest."""
    y, x = np.divmod(np.arange(side * side), side)
    vertices = np.column_stack([x, 1.1 * y, 0 * x]).astype(float)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    lower = np.column_stack([corner, corner + 1, corner + side + 1])
    return vertices, np.concatenate([lower, np.column_stack([corner, corner + side + 1, corner + side])])


def small(**changes: object) -> MeshPyramid:
    """Two vertices below three."""
    tables = MeshPyramid(
        spirals=(np.array([[0, 1], [1, 0]]), np.array([[0, 1], [1, 2], [2, 0]])),
        up_vertices=(np.array([[0, 0, 1], [1, 0, 0], [0, 1, 1]]),),
        up_weights=(np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]], np.float32),),
        kept=(np.array([0, 2]), np.arange(3)),
        parts=np.array([0, 4, 5]),
    )
    return replace(tables, **changes)  # type: ignore[arg-type]


def test_sizes_are_those_of_the_paper_for_mano() -> None:
    assert halved_sizes(778, 5) == (49, 98, 195, 389, 778)


def test_a_spiral_goes_round_its_vertex_and_then_round_that() -> None:
    spirals = spirals_of(*grid(5), length=9)
    middle = 12
    ring = {middle + d for d in (1, 6, 5, -1, -6, -5)}
    assert spirals[middle, 0] == middle
    assert spirals[middle, 1] in (middle - 1, middle + 1)  # the nearest
    assert set(spirals[middle, 1:7]) == ring
    assert not set(spirals[middle, 7:]) & (ring | {middle})


def test_rings_turn_counter_clockwise() -> None:
    vertices, faces = grid(5)
    ring = vertices[spirals_of(vertices, faces, 9)[12, 1:7], :2] - vertices[12, :2]
    after = np.roll(ring, -1, 0)
    assert (ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0] > 0).all()


@pytest.mark.parametrize("side", [2, 3, 5])
def test_spirals_begin_at_the_vertex_and_repeat_nothing_but_it(side: int) -> None:
    for vertex, spiral in enumerate(spirals_of(*grid(side), length=9)):
        assert spiral[0] == vertex
        others = spiral[spiral != vertex]
        assert len(set(others)) == len(others) == min(8, side * side - 1)


def test_spirals_do_not_depend_on_the_order_of_the_faces() -> None:
    vertices, faces = grid(4)
    mixed = np.roll(np.random.default_rng(0).permutation(faces), 1, axis=1)
    np.testing.assert_array_equal(spirals_of(vertices, faces, 9), spirals_of(vertices, mixed, 9))


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": np.array([0, 4, 6])},
        {"parts": np.array([0, 4])},
        {"kept": (np.array([0, 3]), np.arange(3))},
        {"up_weights": (np.array([[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0.5]], np.float32),)},
        {"up_vertices": (np.array([[0, 0, 1], [1, 0, 0], [0, 1, 2]]),)},
        {"spirals": (np.array([[0, 1], [1, 2]]), np.array([[0, 1], [1, 2], [2, 0]]))},
        {"up_weights": ()},
    ],
)
def test_tables_that_do_not_fit_together_are_refused(changes: dict[str, object]) -> None:
    assert small().sizes == (2, 3)
    with pytest.raises(InvalidInput):
        small(**changes)
