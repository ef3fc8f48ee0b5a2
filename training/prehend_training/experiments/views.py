"""Does seeing several views in training help a network of one? SiMA-Hand's tables 3, 5 and 6 on our scenes: a teacher,
students with and without its help and without each part, by how much of the hand is hidden."""

from collections.abc import Iterable
from pathlib import Path

from prehend.errors import InvalidInput
from prehend_training.data.stores.open import DataSource
from prehend_training.experiments.table import Column, Extent, Report, Study, StudyArm
from prehend_training.train.presets import preset
from prehend_training.train.tasks.sima_presets import SIMA_PRESETS, SIMA_ROWS, TEACHER, sima_row

COLUMNS = (
    Column("PA J-PE", "aligned_joint_error_mm", 2, drawn=True),
    Column("PA V-PE", "aligned_vertex_error_mm", 2),
    Column("J-PE", "joint_error_mm", 2, drawn=True),
    Column("V-PE", "vertex_error_mm", 2),
    Column("PA J-PE 0-25 % hidden", "by_hidden/0-25/aligned_joint_error_mm", 2),
    Column("PA J-PE 25-50 %", "by_hidden/25-50/aligned_joint_error_mm", 2),
    Column("PA J-PE 50-100 %", "by_hidden/50-100/aligned_joint_error_mm", 2, drawn=True),
    Column("J-PE 50-100 %", "by_hidden/50-100/joint_error_mm", 2, drawn=True),
    Column("hands 50-100 %", "by_hidden/50-100/hands", 0),
    Column("rotation [deg]", "rotation_error_deg", 2),
)
FEWER = ("2", "4")
"""Views of further rows of the teacher."""


def views_table(base: str, data: DataSource, extent: Extent, rows: Iterable[str] = tuple(SIMA_ROWS)) -> Study:
    """The table of a student.

    Args:
        base: name of its preset, `sima-s` or `sima-xs`.
        data: rendered views, without the held-out objects and skins (`scenes --asset-split training`).
        extent: its held-out views show them alone.
        rows: names of `SIMA_ROWS`.

    Raises:
        InvalidInput: a row is not there, or the preset is none of SiMA-Hand.
    """

    def measure(run: Path) -> Report:
        from prehend_training.evaluate.network import open_measured
        from prehend_training.evaluate.views import evaluate_views

        return evaluate_views(open_measured(run).backend, extent.held_out)

    return Study("views", [_arm(base, row, data) for row in rows], COLUMNS, extent, measure, {"base": base})


def _arm(base: str, row: str, data: DataSource) -> StudyArm:
    if row not in SIMA_ROWS:
        raise InvalidInput(f"no row '{row}': choose of {', '.join(SIMA_ROWS)}")
    words, name = SIMA_ROWS[row].words, preset(sima_row(base, row)).name
    chosen = next((one for one in SIMA_PRESETS if one.name == name), None)
    if chosen is None:
        raise InvalidInput(f"'{base}' is no preset of SiMA-Hand: choose sima-s or sima-xs")
    if row != TEACHER:
        return StudyArm(row, words, chosen, data, TEACHER if chosen.needs_teacher else None)
    fewer = tuple((f"{row}-{count}", f"the same, {count} views", f"views/{count}") for count in FEWER)
    return StudyArm(row, f"{words}, eight views", chosen, data, further=fewer)
