import pytest

from prehend_training.boost.create import CreateConfig, create_conditions


@pytest.fixture(scope="module")
def conditions(renderer, tmp_path_factory):
    """Six conditions with things, drawn by the scene engine."""
    out = tmp_path_factory.mktemp("conditions") / "conditions"
    create_conditions(out, CreateConfig(seed=5, objects=("mug", "apple")), 6)
    return out
