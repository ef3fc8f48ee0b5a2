"""What is measured on which data, frozen: the papers' protocols, and ours on rendered scenes.

Sources: UniHOPE (Wang et al., CVPR 2025, section 4.1 and tables 2 to 6), and where the paper is silent the evaluation
settings of the released scripts of the systems it compares. `docs/EVALUATION.md` says what differs from those scripts.
"""

from dataclasses import dataclass
from typing import Literal

from prehend.errors import UnknownName

Scene = Literal["all", "hand-only", "hand-object"]
GraspLabel = Literal["grasp", "displaced"]

SCENES: tuple[Scene, ...] = ("all", "hand-only", "hand-object")
"""By the true grasp label; hands of which nobody knows whether they grasp are only in "all"."""

OCCLUSION_BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
"""Share of the hand that is hidden; low <= share < high, the last with its end. Table 6 shows the last three."""


@dataclass(frozen=True)
class Protocol:
    """How a table came about.

    Attributes:
        name: of the protocol.
        title: of its data, for people.
        scenes: groups of hands that are reported.
        occlusion_bins: groups by the share hidden, as in `OCCLUSION_BINS`; none where no dataset label tells it.
        grasp_label: which label of a hand divides the scenes: "displaced" is the papers' rule (the object has left its
            first pose), "grasp" asks for contact too.
        grasp_move_m: how far the object must have moved for "displaced", where a reader computes it [m]; None for its
            own rule.
        add_factors: ADD-kD counts poses with an ADD(-S) of at most k diameters.
        reprojection_px: poses with a mean reprojection error of at most these count [px].
        symmetric: ids of objects scored with ADD-S; None for those that the catalogue calls symmetric.
        objects: rows of the object table in the paper's order; none for all that occur.
        joints_from_mesh: true joints are those of the posed hand model where there is one, not the annotated ones.
        tables: numbers of the tables of UniHOPE whose layout this data fills (see `tables.LAYOUTS`).
    """

    name: str
    title: str
    scenes: tuple[Scene, ...] = SCENES
    occlusion_bins: tuple[tuple[float, float], ...] = OCCLUSION_BINS
    grasp_label: GraspLabel = "grasp"
    grasp_move_m: float | None = None
    add_factors: tuple[float, ...] = (0.1, 0.5)
    reprojection_px: tuple[float, ...] = (5.0, 20.0)
    symmetric: frozenset[str] | None = None
    objects: tuple[str, ...] = ()
    joints_from_mesh: bool = False
    tables: tuple[int, ...] = ()


# Models 13, 16, 20 and 21 of the dataset
_YCB_SYMMETRIC = frozenset({"024_bowl", "036_wood_block", "052_extra_large_clamp", "061_foam_brick"})
# The scripts of UniHOPE: 5 degrees or 50 mm; its paper gives no number
_SCRIPT_MOVE_M = 0.05

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("scenes", "rendered scenes", tables=(2, 3, 5, 6)),
        Protocol(
            "dexycb-s0",
            "DexYCB, split S0 (unseen sequences)",
            grasp_label="displaced",
            grasp_move_m=_SCRIPT_MOVE_M,
            symmetric=_YCB_SYMMETRIC,
            joints_from_mesh=True,
            tables=(2, 3, 5, 6),
        ),
        Protocol(
            "dexycb-s3",
            "DexYCB, split S3 (unseen objects)",
            grasp_label="displaced",
            grasp_move_m=_SCRIPT_MOVE_M,
            symmetric=_YCB_SYMMETRIC,
            objects=("009_gelatin_box", "021_bleach_cleanser", "036_wood_block"),
            joints_from_mesh=True,
            tables=(2, 3, 5, 6),
        ),
        # the paper submits to a server and so has no scenes; the labels are public since
        Protocol(
            "ho3d",
            "HO3D",
            grasp_label="displaced",
            grasp_move_m=_SCRIPT_MOVE_M,
            symmetric=_YCB_SYMMETRIC,
            tables=(4,),
        ),
        Protocol("freihand", "FreiHAND", scenes=("all",), occlusion_bins=(), tables=(5,)),
        Protocol("hands", "hands without labels of grasps", scenes=("all",), occlusion_bins=(), tables=(5,)),
    )
}
"""By name."""


def protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UnknownName: there is none.
    """
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def protocol_of_dataset(dataset: str, split: str) -> Protocol:
    """The protocol for a split of a dataset, by the names of the readers.

    Args:
        dataset: dexycb, ho3d_v2, ho3d_v3, freihand or hanco.
        split: of the reader.

    Raises:
        UnknownName: there is no such dataset.
    """
    known = {
        "dexycb": "dexycb-s3" if split.startswith("s3") else "dexycb-s0",
        "ho3d_v2": "ho3d",
        "ho3d_v3": "ho3d",
        "freihand": "freihand",
        "hanco": "hands",
    }
    if dataset not in known:
        raise UnknownName("dataset", dataset, known)
    return PROTOCOLS[known[dataset]]


def is_published_split(dataset: str, split: str) -> bool:
    """Whether the published rows were measured on this split."""
    return (dataset, split) in _PUBLISHED_ON


_PUBLISHED_ON = frozenset(
    {("dexycb", "s0_test"), ("dexycb", "s3_test"), ("ho3d_v2", "evaluation"), ("freihand", "evaluation")}
)
