"""The losses of SiMA-Hand: reconstruction (eq. 11, H2ONet's terms) and adaptation (eqs. 4, 6)."""

from dataclasses import dataclass

from torch import Tensor

from prehend.models.sima.rays import canonical_points
from prehend_training.data.batch import CropBatch
from prehend_training.losses.crop import Terms, hand_rows, mean_of_rows


@dataclass(frozen=True)
class SimaLossWeights:
    """Weight of each term: `losses.h2onet.mesh_terms`, `place_term`, `point_term` and `adaptation_terms`,
    whose weights the paper calls beta and gamma and does not give. Lengths are in metres, places in shares of the
    crop."""

    vertices: float = 1.0
    joints: float = 1.0
    turned_vertices: float = 1.0
    turned_joints: float = 1.0
    places: float = 1.0
    normals: float = 0.1
    edges: float = 1.0
    rotation: float = 1.0
    points: float = 1.0
    shape_enhancement: float = 1.0
    orientation_enhancement: float = 1.0


def place_term(places: Tensor, target: CropBatch, size: int) -> Terms:
    """`places`: mean |error| of (B, 21, 2) places in [0, 1] of a crop of `size` px, in shares of the crop."""
    box = target["hand_box"]
    wanted_px = box[:, None, :2] + target["keypoints"] * (box[:, 2:] - box[:, :2])[:, None]
    return {"places": mean_of_rows((places - (wanted_px + 0.5) / size).abs(), hand_rows(target, "keypoints"))}


def point_term(points: Tensor, target: CropBatch) -> Terms:
    """`points`: mean |error| of (B, 21, 3) joints of `canonical_points` where rays met [m], which teaches what ray to
    trust."""
    return {"points": mean_of_rows((points - canonical_points(target["joints"])).abs(), hand_rows(target, "joints"))}


def feature_distance(said: Tensor, taught: Tensor, rows: Tensor) -> Tensor:
    """How far features are from a teacher's, as a share of these: mean over the (B,) rows with weight 1.

    The paper's distance is in the features' own unit, which a teacher may choose freely.

    Args:
        said, taught: (B, T, C); the latter teaches and does not learn.
        rows: (B,) weights 0 or 1.
    """
    taught = taught.detach()
    size = taught.square().sum(-1).mean(1, keepdim=True).clamp(min=1e-12).sqrt()
    off = ((said - taught).square().sum(-1) + 1e-12).sqrt() / size
    return mean_of_rows(off, rows)


def adaptation_terms(
    shape: tuple[Tensor, Tensor] | None, orientation: tuple[Tensor, Tensor] | None, rows: Tensor
) -> Terms:
    """The two enhancements, of those that are asked for.

    Args:
        shape: (B, V_0, C) features of the coarsest vertices, the student's and the teacher's fused ones.
        orientation: (B, 21, W) of the orientation, the student's enhanced and the teacher's.
        rows: (B,) 1 for hands that count.
    """
    terms: Terms = {}
    if shape is not None:
        terms["shape_enhancement"] = feature_distance(*shape, rows)
    if orientation is not None:
        terms["orientation_enhancement"] = feature_distance(*orientation, rows)
    return terms
