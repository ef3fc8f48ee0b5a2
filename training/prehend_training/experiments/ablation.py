"""Does each step of UniHOPE help here? Table 7 of the paper on our scenes: the same budget for every row, several
seeds, objects and skins that training has not seen."""

from collections.abc import Iterable
from pathlib import Path

from prehend.errors import InvalidInput
from prehend_training.data.stores.open import DataSource
from prehend_training.experiments.table import Column, Extent, Report, Study, StudyArm
from prehend_training.train.presets import ABLATION_ROWS, preset, row_name

COLUMNS = (
    Column("J-PE", "joint_error_mm", drawn=True),
    Column("V-PE", "vertex_error_mm"),
    Column("PA J-PE", "aligned_joint_error_mm", drawn=True),
    Column("PA V-PE", "aligned_vertex_error_mm"),
    Column("J-PE hand-only", "joint_error_mm_by_scene/hand-only", drawn=True),
    Column("J-PE hand-object", "joint_error_mm_by_scene/hand-object", drawn=True),
    Column("J-PE 50-75 % hidden", "joint_error_mm_by_hidden/50-75"),
    Column("grasp acc. %", "grasp/accuracy", factor=100),
    Column("samples/s", "samples_per_s", digits=0),
)


def ablation_table(base: str, data: DataSource, extent: Extent, rows: Iterable[str] = tuple(ABLATION_ROWS)) -> Study:
    """The table of a crop network.

    Args:
        base: name of a preset with ablation rows.
        data: crops with twins, without the held-out objects and skins (`scenes --asset-split training`).
        extent: its held-out crops show them alone (`scenes --asset-split held-out`).
        rows: letters of the paper's rows.

    Raises:
        UnknownName: the preset is not there or has no rows.
        InvalidInput: a row is not one of the paper's.
    """
    arms = [_arm(base, letter, data) for letter in rows]

    if not arms:
        raise InvalidInput(f"no rows given: choose of {''.join(ABLATION_ROWS)}")

    def measure(run: Path) -> Report:
        from prehend_training.evaluate.network import open_measured
        from prehend_training.evaluate.reports import evaluate_crops

        return evaluate_crops(open_measured(run), extent.held_out).summary

    return Study("ablation", arms, COLUMNS, extent, measure, {"base": base})


def _arm(base: str, letter: str, data: DataSource) -> StudyArm:
    if letter not in ABLATION_ROWS:
        raise InvalidInput(f"no row '{letter}': choose of {''.join(ABLATION_ROWS)}")
    return StudyArm(letter, ABLATION_ROWS[letter].words, preset(row_name(base, letter)), data)
