"""The losses of UniHOPE section 3.4 in the paper's forms, with the weights of the released code."""

from dataclasses import dataclass

from prehend.hand_model.asset import load_hand_model
from prehend.hand_model.torch_ import HandLayer
from prehend.models.hand_object.outputs import HandOutput, Output
from prehend.models.hand_object.unihope import UniHOPE
from prehend_training.data.batch import Batch, CropBatch
from prehend_training.losses.crop import Terms, hand_rows, mean_of_rows, object_errors, switch_terms, visibility_term


@dataclass(frozen=True)
class PaperLossWeights:
    """Weight of each term: eqs. (8) to (11).

    The last three belong to outputs that the paper does not have; they are as small as the others leave them.
    """

    vertices: float = 1e4
    joints: float = 1e4
    pose: float = 10.0
    shape: float = 0.1
    keypoints: float = 100.0
    object_points: float = 500.0
    object_confidence: float = 100.0
    grasp: float = 10.0
    initial_enhancement: float = 0.1
    roi_enhancement: float = 0.1
    code_enhancement: float = 0.5
    presence: float = 10.0
    side: float = 10.0
    visibility: float = 1.0

    def hand(self) -> HandLayer:
        """Skinning for the terms: all vertices."""
        return HandLayer(load_hand_model())

    def image_terms(self, network: UniHOPE, output: Output, batch: CropBatch, read: Batch, hand: HandLayer) -> Terms:
        """See `CropLossWeights`; maps are not compared."""
        terms = switch_terms(output.encoded, batch) | paper_hand_terms(output.hand, batch, hand)
        return terms | paper_object_terms(output, batch)

    def twin_terms(self, network: UniHOPE, output: Output, target: CropBatch, hand: HandLayer) -> Terms:
        """See `CropLossWeights`."""
        return paper_hand_terms(output.hand, target, hand) | switch_terms(output.encoded, target)


def paper_hand_terms(answer: HandOutput, target: CropBatch, hand: HandLayer) -> Terms:
    """Squared errors of vertices and joints [m^2] relative to the wrist, of the rotation matrices, of the shape and of
    the keypoints in units of the hand box; and the visibility.

    Args:
        answer: of the network.
        target: see `targets`.
        hand: skinning, of all vertices for the paper's loss.
    """
    meshed, truth = hand(answer.rotations, answer.betas), hand(target["rotations"], target["betas"])
    joints = meshed.joints - meshed.joints[:, :1]
    vertices, true_vertices = meshed.vertices - meshed.joints[:, :1], truth.vertices - truth.joints[:, :1]
    posed, placed = hand_rows(target, "pose"), hand_rows(target, "keypoints")
    return {
        "vertices": mean_of_rows((vertices - true_vertices).square(), posed),
        "joints": mean_of_rows((joints - target["joints"]).square(), hand_rows(target, "joints")),
        "pose": mean_of_rows((answer.rotations - target["rotations"]).square(), posed),
        "shape": mean_of_rows((answer.betas - target["betas"]).square(), posed),
        "keypoints": mean_of_rows((answer.keypoints - target["keypoints"]).square(), placed),
        "visibility": visibility_term(answer, target),
    }


def paper_object_terms(output: Output, target: CropBatch) -> Terms:
    """Eq. (10): L1 of the control points, and of the confidence from exp(-d) on the object."""
    errors = object_errors(output, target, sharpness=1.0)
    return {
        "object_points": mean_of_rows(errors.points, errors.known),
        "object_confidence": mean_of_rows((errors.confidence - errors.wanted).abs(), errors.known),
    }
