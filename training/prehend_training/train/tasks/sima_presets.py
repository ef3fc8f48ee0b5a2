"""The presets of SiMA-Hand: a teacher, a student, and students without one of its parts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from prehend.models.sima.hand import SIMA_LITE, SIMA_PAPER, SIMA_SMALL
from prehend.models.sima.parts import SimaConfig
from prehend.models.sima.views import MOST_VIEWS
from prehend_training.data.augment_presets import PAPER_CROPS, STRONG_CROPS, UPRIGHT_VIEW
from prehend_training.sima.batches import MomentDataConfig
from prehend_training.sima.losses import SimaLossWeights
from prehend_training.train.loop.preset import Optimisation
from prehend_training.train.tasks.sima import Enhanced, Freeze, SimaPreset

TEACHER = "views"
"""Row of the teacher."""
BOTH: tuple[Enhanced, ...] = ("shape", "orientation")


@dataclass(frozen=True)
class SimaRow:
    """A row of the table: what it is, what it is taught, and whether its orientation has attention."""

    words: str
    adapts: tuple[Enhanced, ...] = ()
    enhanced: bool = True


SIMA_ROWS: dict[str, SimaRow] = {
    TEACHER: SimaRow("several views (MVR-Hand)"),
    "full": SimaRow("one view with adaptation (SiMA-Hand)", BOTH),
    "plain": SimaRow("one view without adaptation (SVR-Hand)"),
    "no-shape": SimaRow("without the shape's enhancement", ("orientation",)),
    "no-orientation": SimaRow("without the orientation's enhancement", ("shape",)),
    "no-attention": SimaRow("without the orientation's attention", ("shape",), enhanced=False),
}


def sima_row(base: str, row: str) -> str:
    """Name of the preset of a row."""
    return base if row == "full" else f"{base}-{row}"


_LENGTHS = SimaLossWeights(
    vertices=20, joints=40, turned_vertices=20, turned_joints=40, places=10, normals=0.5, edges=20, points=20,
    shape_enhancement=0.5, orientation_enhancement=0.5,
)  # fmt: skip
"""Scaled as those of `h2onet-s`: the terms pull about alike late in training."""

_OWN = MomentDataConfig(view=UPRIGHT_VIEW, photometric=STRONG_CROPS.photometric)
_PAPER = MomentDataConfig(
    view=replace(PAPER_CROPS.view, center=0.0, scale=(0.75, 1.25), scale_sigma=0.25),
    photometric=replace(PAPER_CROPS.photometric, channel_gain=0.2),  # type: ignore[type-var]
    smear_p=0.0,
)
"""Size and turn by chance, colour of each channel; no shift (docs/PAPERS.md, 2)."""

_OWN_WAY = Optimisation(method="muon", batch_size=24, lr=1e-3, weight_decay=0.01, ema=0.995, pretrained_share=0.12)
_PAPER_WAY = Optimisation(lr=1e-3, weight_decay=0.0, warmup=0.01, schedule="steps", clip=1e3)
_TINY = replace(
    SIMA_LITE, size=64, channels=(8, 8, 8, 8, 8), width=16, heads=2, head_width=8, narrow=8, orientation=(16,)
)


def _family(base: str, student: SimaPreset, rows: tuple[str, ...], teacher: SimaPreset) -> Iterator[SimaPreset]:
    """The rows of a network: the teacher's numbers, and a student's with what each row leaves out."""
    for name in rows:
        row = SIMA_ROWS[name]
        chosen = teacher if name == TEACHER else student
        config = replace(chosen.config, enhanced=row.enhanced)
        yield replace(chosen, name=sima_row(base, name), config=config, adapts=row.adapts)


def _pair(
    network: str, config: SimaConfig, data: MomentDataConfig, loss: SimaLossWeights, way: Optimisation, freeze: Freeze
) -> tuple[SimaPreset, SimaPreset]:
    """A student and a teacher; ours of any number of views, the paper's of eight."""
    paper = config.trunk == "dense"
    data = replace(data, size_px=config.size)
    several = replace(config, views=MOST_VIEWS, triangulates=not paper)
    views = (MOST_VIEWS,) if paper else (2, 4, MOST_VIEWS)
    shown = replace(data, views=(MOST_VIEWS if paper else 4,))
    student = SimaPreset(network, network, config, shown, (), loss, way, freeze=freeze)
    teacher = replace(student, network=f"{network}-views", config=several, data=replace(data, views=views))
    return student, teacher


def _all() -> Iterator[SimaPreset]:
    every = tuple(SIMA_ROWS)
    chosen: tuple[tuple[str, SimaConfig, Freeze], ...] = (
        ("sima-s", SIMA_LITE, "start"),
        ("sima-xs", SIMA_SMALL, "trunk"),
    )
    for base, config, freeze in chosen:
        # of a frozen trunk its answers alone learn; at the full rate they forget first
        way = replace(_OWN_WAY, pretrained_share=0.3) if freeze == "trunk" else _OWN_WAY
        student, teacher = _pair(base, config, _OWN, _LENGTHS, way, freeze)
        yield from _family(base, student, every, teacher)
    student, teacher = _pair("sima-b", SIMA_PAPER, _PAPER, SimaLossWeights(), _PAPER_WAY, "nothing")
    student = replace(student, optimisation=replace(_PAPER_WAY, batch_size=128))
    teacher = replace(teacher, optimisation=replace(_PAPER_WAY, batch_size=64))
    yield from _family("sima-b", student, (TEACHER, "full", "plain"), teacher)
    student, teacher = _pair("sima-s", _TINY, _OWN, _LENGTHS, replace(_OWN_WAY, batch_size=8), "trunk")
    yield from _family("debug-sima", student, every, teacher)


SIMA_PRESETS = tuple(_all())
"""`sima-s` on the pretrained trunk at 224 px, `sima-xs` the same at 160 px with the trunk as it is, `sima-b` with the
paper's sizes."""
