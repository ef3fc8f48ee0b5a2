"""Reports in the layout of the tables of UniHOPE (CVPR 2025), with the published rows where there are any."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prehend.eval.papers.protocols import protocol
from prehend.eval.papers.published import PUBLISHED
from prehend.eval.papers.report import Report, bin_name

Cell = float | str | None

COLUMN_TITLES = {
    "boxes": "labelled boxes",
    "boxes_found": "labelled boxes, hands the detector found",
    "detector": "own detector",
}
"""Names of the columns of a report, for people."""

_SHORT = {
    "j_pe_mm": "J-PE", "pa_j_pe_mm": "PA-J-PE", "v_pe_mm": "V-PE", "pa_v_pe_mm": "PA-V-PE",
    "j_auc": "J-AUC", "v_auc": "V-AUC", "f5": "F@5", "f15": "F@15",
    "pa_j_auc": "PA-J-AUC", "pa_v_auc": "PA-V-AUC", "pa_f5": "PA-F@5", "pa_f15": "PA-F@15",
}  # fmt: skip
_ERRORS = ("j_pe_mm", "pa_j_pe_mm", "v_pe_mm", "pa_v_pe_mm")
_RELATIVE = ("j_pe_mm", "j_auc", "v_pe_mm", "v_auc", "f5", "f15")
_ALIGNED = tuple(f"pa_{name}" for name in _RELATIVE)
_BINS = tuple(bin_name(low, low + 0.25) for low in (0.25, 0.5, 0.75))


@dataclass(frozen=True)
class Layout:
    """A table of the paper.

    Attributes:
        title: what it shows.
        kind: part of a column it shows: "scenes", "occlusion" or "objects".
        groups: of that part; none for the objects of the protocol.
        measures: of each group.
    """

    title: str
    kind: str
    groups: tuple[str, ...]
    measures: tuple[str, ...]


LAYOUTS: dict[int, Layout] = {
    2: Layout("Hand pose by scene [mm]", "scenes", ("all", "hand-only", "hand-object"), _ERRORS),
    3: Layout("Pose of grasped objects, ADD-0.5D [%]", "objects", (), ("add_0.5d",)),
    4: Layout("Hand pose, root-relative [mm, %]", "scenes", ("all",), _RELATIVE),
    5: Layout("Hand pose, root-relative and aligned [mm, %]", "scenes", ("all",), _RELATIVE + _ALIGNED),
    6: Layout("Hand pose by the share of the hand that is hidden [mm]", "occlusion", _BINS, _ERRORS),
}
"""By the number of the table of UniHOPE."""


def markdown(report: Report) -> str:
    """All tables of a report as Markdown, our rows last, and where the other rows come from."""
    chosen = protocol(report["protocol"])
    parts = [f"# {report['model']['name']} on {report['data']['title']}", _published_note(report), _summary(report)]
    for number in chosen.tables:
        if number == 3 and not chosen.objects:
            parts.append(_objects_down(report))
        else:
            parts.append(_paper_table(report, number))
    return "\n\n".join(part for part in parts if part) + "\n"


def _published_note(report: Report) -> str:
    has_rows = any(name == report["protocol"] for name, _ in PUBLISHED)
    if not has_rows:
        return "Nobody has published numbers on this data: the tables have our rows alone."
    if not report["data"]["published_split"]:
        return "This is not the split that the published rows were measured on: they are left out."
    return "Published rows are copied from the papers named above each table; ours were measured by this command."


def _summary(report: Report) -> str:
    """Counts and answers that are no table of the paper."""
    rows: list[tuple[str, list[Cell]]] = []
    for name, column in report["columns"].items():
        grasp, all_hands = column["grasp"], column["scenes"]["all"]
        search = column.get("search", {})
        rows.append(
            (
                COLUMN_TITLES[name],
                [
                    column["hands"], column["answered"], search.get("false_hands_per_frame"), column["side_accuracy"],
                    grasp["accuracy"], grasp["precision"], grasp["recall"], grasp["f1"],
                    all_hands["absolute_j_pe_median_mm"],
                ],
            )
        )  # fmt: skip
    headings = [
        "hands", "answered %", "false a frame", "side %", "grasp acc. %", "precision %", "recall %", "F1 %",
        "absolute J-PE, median [mm]",
    ]  # fmt: skip
    return "## Answers\n\n" + markdown_table(["boxes", *headings], rows)


def _paper_table(report: Report, number: int) -> str:
    layout, chosen = LAYOUTS[number], protocol(report["protocol"])
    groups = layout.groups or (*chosen.objects, "average")
    headings = [_heading(layout, group, name) for group in groups for name in layout.measures]
    rows: list[tuple[str, Sequence[Cell]]] = []
    source = f"layout of UniHOPE's table {number}"
    published = PUBLISHED.get((chosen.name, number))
    if published is not None and report["data"]["published_split"]:
        source = published.source
        rows += list(published.rows.items())
    for name, column in report["columns"].items():
        cells = [_group(column, layout.kind, group).get(measure) for group in groups for measure in layout.measures]
        rows.append((f"**{report['model']['name']}**, {COLUMN_TITLES[name]}", cells))
    return f"## {layout.title}\n\n{source}\n\n" + markdown_table(["method", *headings], rows)


def _heading(layout: Layout, group: str, measure: str) -> str:
    if layout.kind == "objects":
        return group
    short = _SHORT[measure]
    if layout.kind == "occlusion":
        return f"{group} %: {short}"
    return short if len(layout.groups) == 1 else f"{group}: {short}"


def _group(column: Report, kind: str, group: str) -> Report:
    """Measures of a group; nothing where the column does not have it."""
    if kind == "objects":
        things = column["objects"]
        found: Report = things["all"] if group == "average" else things["by_object"].get(group, {})
        return found
    return dict(column[kind].get(group, {}))


def _objects_down(report: Report) -> str:
    """The layout of table 3 turned on its side, for many objects."""
    names: dict[str, None] = {}
    for column in report["columns"].values():
        names |= dict.fromkeys(column["objects"]["by_object"])
    factors = protocol(report["protocol"]).add_factors
    keys = [f"add_{factor:g}d" for factor in factors]
    rows: list[tuple[str, Sequence[Cell]]] = []
    for name in (*names, "average"):
        groups = [_group(column, "objects", name) for column in report["columns"].values()]
        samples = max((group.get("samples", 0) for group in groups), default=0)
        rows.append((name, [samples, *(group.get(key) for group in groups for key in keys)]))
    headings = [f"{COLUMN_TITLES[title]}: ADD-{factor:g}D" for title in report["columns"] for factor in factors]
    note = "ADD-S for symmetric objects; the average is over samples; layout of UniHOPE's table 3, turned on its side"
    return f"## Pose of grasped objects [%]\n\n{note}\n\n" + markdown_table(["object", "samples", *headings], rows)


def markdown_table(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]]) -> str:
    """A Markdown table whose columns are as wide as their longest cell."""
    lines = [list(map(_escaped, headings)), *([*map(_escaped, [name, *map(_text, cells)])] for name, cells in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(headings))]

    def row(line: Sequence[str]) -> str:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(cells)} |"

    rule = f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (width + 1)}:|" for width in widths[1:])
    return "\n".join([row(lines[0]), rule, *(row(line) for line in lines[1:])])


def _escaped(text: str) -> str:
    """A bar within a cell, in the name of a file say, ends no cell; nor does a line's end end the row."""
    return re.sub(r"(\\*)\|", r"\1\1\\|", " ".join(text.splitlines()))


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    return str(cell) if isinstance(cell, int) else f"{cell:.2f}"
