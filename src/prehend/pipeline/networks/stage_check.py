"""Whether a backend has a small network that a part of the pipeline takes."""

from collections.abc import Mapping

from prehend.backends import Backend
from prehend.errors import WeightsMismatch


def require_stage(backend: Backend, stage: str, inputs: Mapping[str, tuple[int, ...]], does: str, weights: str) -> None:
    """Nothing where a backend has a stage with these inputs.

    Args:
        backend: of any weights.
        stage: name of the stage.
        inputs: shapes of some of its inputs, without the batch.
        does, weights: for people, what the stage does, and the name of weights that have it.

    Raises:
        WeightsMismatch: it has none, or one of other inputs.
    """
    bundle = backend.bundle
    found = bundle.stages.get(stage)
    shapes = {} if found is None else {spec.name: tuple(spec.shape[1:]) for spec in found.inputs}
    if any(shapes.get(name) != shape for name, shape in inputs.items()):
        raise WeightsMismatch(f"weights '{bundle.name}' do not {does}: take {weights}")
