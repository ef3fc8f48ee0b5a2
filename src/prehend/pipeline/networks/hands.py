"""The hand models of both sides, and the shape of a hand from one model to another."""

from prehend.conventions import Side
from prehend.errors import WeightsMismatch
from prehend.hand_model import HandModel, load_hand_model
from prehend.hand_model.retarget import betas_for_joints
from prehend.pipeline.networks.base import NetworkAnswer
from prehend.types import FloatArray
from prehend.weights import Bundle


class HandModels:
    """What the network's pose and shape are put on.

    The network answers in the shape space of the hand model it was trained with; where the user wants another
    model's mesh, its shape is the one whose joints lie nearest.

    Attributes:
        by_side: the model of each side, without forearm.

    Raises:
        WeightsMismatch: the network was trained with a hand model that is neither the one asked for nor the shipped.
    """

    def __init__(self, bundle: Bundle, wanted: HandModel | None = None):
        shipped = load_hand_model()
        model = (wanted or shipped).without_forearm()
        self.by_side: dict[Side, HandModel] = {model.side: model, (other := model.mirrored()).side: other}
        trained = bundle.manifest.get("hand_model", {"name": shipped.name, "sha256": shipped.sha256})
        if trained["sha256"] not in (model.sha256, shipped.sha256):
            raise WeightsMismatch(
                f"weights '{bundle.name}' were trained with hand model '{trained['name']}' of another version: "
                "give its file as the hand model, or weights that go with this one"
            )
        self._source = None if trained["sha256"] == model.sha256 else shipped

    def adapted(self, answer: NetworkAnswer) -> NetworkAnswer:
        """An answer for the models in `by_side`: with their shape, and without a mesh that is another model's."""
        if self._source is None:
            return answer
        alone = answer.alone and answer.alone._replace(betas=self.shape(answer.alone.betas))
        return answer._replace(betas=self.shape(answer.betas), mesh=None, alone=alone)

    def shape(self, betas: FloatArray) -> FloatArray:
        """(10,) betas of the network -> (10,) betas of the model in `by_side`; both sides have the same."""
        if self._source is None:
            return betas
        return betas_for_joints(self.by_side["right"], self._source, betas)
