"""Markdown as a reader's program takes it apart, and what stands in which cell."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prehend.eval.papers.protocols import PROTOCOLS, is_published_split, protocol_of_dataset
from prehend.eval.papers.published import PUBLISHED
from prehend.eval.papers.tables import LAYOUTS, markdown_table
from prehend.eval.photographs.keypoint_names import order_of_names

cells = st.one_of(st.none(), st.integers(-9, 999), st.floats(-9, 9), st.text(st.sampled_from("ab |\\\n_*"), max_size=6))


def parsed(table: str) -> list[list[str]]:
    """The cells of a Markdown table as GitHub splits it: at bars without a backslash before them."""
    return [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.splitlines()]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.text(st.sampled_from("ab|\n "), max_size=5), cells, cells), max_size=4))
def test_a_table_has_its_columns_whatever_its_cells_say(rows):
    table = markdown_table(["name", "one|two", "three"], [(name, [one, two]) for name, one, two in rows])
    lines = parsed(table)
    assert len(lines) == len(rows) + 2 and {len(line) for line in lines} == {3}
    assert len({len(line) for line in table.splitlines()}) == 1, "columns stand one below the other"


def test_numbers_stand_right_and_unknown_is_a_dash():
    table = markdown_table(["a", "b", "c", "d"], [("x", [None, 3, 1.005]), ("long name", ["~7.0", 12, -0.5])])
    assert [[cell.strip() for cell in line] for line in parsed(table)[2:]] == [
        ["x", "-", "3", "1.00"],
        ["long name", "~7.0", "12", "-0.50"],
    ]
    assert parsed(table)[1][0].strip("-") == "" and all(cell.endswith(":") for cell in parsed(table)[1][1:])


@pytest.mark.parametrize("number", LAYOUTS)
def test_every_published_row_fits_its_layout_and_says_where_it_is_from(number):
    for (name, table), published in PUBLISHED.items():
        if table != number:
            continue
        layout, chosen = LAYOUTS[number], PROTOCOLS[name]
        groups = len(layout.groups) or len(chosen.objects) + 1
        assert {len(row) for row in published.rows.values()} == {groups * len(layout.measures)}
        assert number in chosen.tables and published.source
        values = [value for row in published.rows.values() for value in row if value is not None]
        assert all(0 <= value <= 100 for value in values), "percent and millimetres"


@pytest.mark.parametrize(
    ("dataset", "split", "published"),
    [("dexycb", "s3_test", True), ("dexycb", "s0_val", False), ("freihand", "evaluation", True), ("hanco", "x", False)],
)
def test_published_rows_are_of_their_own_split_alone(dataset, split, published):
    assert is_published_split(dataset, split) == published
    if published:
        assert any(name == protocol_of_dataset(dataset, split).name for name, _ in PUBLISHED)


@pytest.mark.parametrize("chosen", PROTOCOLS.values(), ids=lambda one: one.name)
def test_a_protocol_fills_the_tables_that_it_names(chosen):
    for number in chosen.tables:
        layout = LAYOUTS[number]
        if layout.kind == "scenes":
            assert set(layout.groups) <= set(chosen.scenes)
        if layout.kind == "occlusion":
            assert len(chosen.occlusion_bins) >= 3
    edges = [edge for pair in chosen.occlusion_bins for edge in pair]
    assert edges == sorted(edges)


COMMON = {
    "mediapipe": [
        "WRIST", "THUMB_CMC", "THUMB_MCP", "THUMB_IP", "THUMB_TIP",
        *(f"{finger}_{part}" for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
          for part in ("MCP", "PIP", "DIP", "TIP")),
    ],
    "wholebody": ["wrist", *(f"{finger}{n}" for finger in ("thumb", "forefinger", "middle_finger", "ring_finger",
                                                           "pinky_finger") for n in (1, 2, 3, 4))],
}  # fmt: skip


@pytest.mark.parametrize("names", COMMON.values(), ids=COMMON)
def test_orders_that_are_ours_need_no_change_and_reversed_ones_are_undone(names):
    assert order_of_names(names) is None
    assert order_of_names(names[::-1]) == tuple(range(20, -1, -1))
    doubled = [*names[:20], names[19]]
    assert order_of_names(doubled) is None, "a name twice leaves a joint open"
