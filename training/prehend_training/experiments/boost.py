"""Do made images help? (HandBooster, section 4): networks on scenes, on scenes and made images, and on scenes and
as many further scenes, by the same budget and with several seeds; measured on held-out scenes and on photographs.

The third row tells what more images are worth by themselves; only what the second has over it is the generator's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prehend.errors import InvalidInput
from prehend_training.data.stores.open import DataSource, Mixture
from prehend_training.experiments.table import Column, Extent, Report, Study, StudyArm, spread
from prehend_training.storage.shards import ShardFolder
from prehend_training.train.presets import Changes, changed_preset, preset

ROWS = {"scenes": "scenes alone", "made": "scenes and made images", "further": "scenes and further scenes"}
SCENES = (
    Column("J-PE", "joint_error_mm", drawn=True),
    Column("PA J-PE", "aligned_joint_error_mm", drawn=True),
    Column("V-PE", "vertex_error_mm"),
)
PHOTOS = (
    Column("photographs NME", "photographs/nme", 3, drawn=True),
    Column("photographs PCK", "photographs/pck", 3, drawn=True),
)
"""On photographs, boxes given: mean error of the joints over the hand's size, share of them that are right."""
_IN_REPORTS = {"nme": "nme", "pck": "pck_all"}


@dataclass(frozen=True)
class Compared:
    """What rows learn from.

    Attributes:
        scenes: crops that all learn from.
        made: crops of `boost filter`.
        further: as many rendered crops, of another seed than `scenes`.
        share: of made images, and of further scenes, in a batch.

    Raises:
        InvalidInput: the share is none, or there are further scenes, but not as many as made images.
    """

    scenes: Path
    made: Path
    further: Path
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidInput(f"share {self.share}: expected 0 < share < 1")
        made, further = (len(ShardFolder.open(path)) for path in (self.made, self.further))
        if made == 0 or further < made:
            raise InvalidInput(
                f"{made} made images and {further} further scenes: one image, and as many scenes, are the least"
            )

    def data(self, row: str) -> DataSource:
        """What a row of `ROWS` learns from."""
        if row == "scenes":
            return [self.scenes]
        other = {"made": self.made, "further": self.further}[row]
        return Mixture((([self.scenes], 1 - self.share), ([other], self.share)))


def comparison_table(
    presets: Iterable[str], compared: Compared, extent: Extent, photos: Path | None = None, batch: int | None = None
) -> Study:
    """The table of some crop networks: an arm for each row of each.

    Args:
        presets: their names.
        compared: what the rows learn from.
        extent: how much is run; its held-out folders hold crops.
        photos: labels of photographs to measure on, those of the split `validation`; None for none.
        batch: samples a step, None for the preset's.

    Raises:
        UnknownName: a preset is not there.
    """
    changes = Changes(batch_size=batch)
    arms = [
        StudyArm(f"{name}-{row}", words, changed_preset(preset(name), changes), compared.data(row))
        for name in presets
        for row, words in ROWS.items()
    ]

    def measure(run: Path) -> Report:
        from prehend_training.evaluate.network import open_measured
        from prehend_training.evaluate.reports import evaluate_crops

        summary = evaluate_crops(open_measured(run), extent.held_out).summary
        return summary if photos is None else summary | {"photographs": _on_photographs(run, photos)}

    about = {"share": compared.share, "photos": None if photos is None else str(photos)}
    return Study("comparison", arms, SCENES if photos is None else (*SCENES, *PHOTOS), extent, measure, about)


def _on_photographs(run: Path, labels: Path) -> Report:
    """Over all hands of the split `validation`, each set with the same weight; boxes given."""
    from prehend.eval.photographs.labels import read_labels
    from prehend.pipeline.options import EstimatorOptions
    from prehend_training.evaluate.photographs.measure import PhotoInputs, of_split, open_estimator, run_photos
    from prehend_training.evaluate.photographs.report import column_report
    from prehend_training.photos.labels import read_labels as read_own

    photos = of_split(read_labels(labels), "validation")
    with open_estimator(run, "palm", EstimatorOptions(tracking=False)) as estimator:
        runs = run_photos(estimator, photos, (read_own(labels).folder, labels.parent), PhotoInputs(("boxes",)))
    sets = column_report(runs, "boxes")["sets"]
    values = {name: [one[key] for part, one in sets.items() if part != "all"] for name, key in _IN_REPORTS.items()}
    return {name: spread(column)[0] for name, column in values.items()} | {"sets": sets}
