import sys
from pathlib import Path

import pytest

# the training workspace is a package of its own and may not be installed
sys.path[:0] = [str(Path(__file__).parents[2] / "training"), str(Path(__file__).parent)]

from fake import open_films, open_moments, write_fake  # noqa: E402

from prehend.errors import MissingDependency, SourceError  # noqa: E402
from prehend_training.scenes.render.render import SceneRenderer  # noqa: E402
from prehend_training.storage.codec import Packing  # noqa: E402


@pytest.fixture(scope="module")
def renderer():
    """What draws scenes; tests that need it skip where there is no OpenGL."""
    renderer = SceneRenderer()
    try:
        _ = renderer.rasterizer
    except (MissingDependency, SourceError) as error:
        pytest.skip(str(error))
    return renderer


@pytest.fixture(scope="session")
def crops(tmp_path_factory):
    out = tmp_path_factory.mktemp("crops")
    write_fake(out, "crops", 24)
    return out


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    out = tmp_path_factory.mktemp("frames")
    write_fake(out, "frames", 12, size_px=192, shard_units=8)
    return out


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    out = tmp_path_factory.mktemp("films")
    write_fake(out, "sequences", 4, make=open_films)
    return out


@pytest.fixture(scope="session")
def moments(tmp_path_factory):
    out = tmp_path_factory.mktemp("moments")
    write_fake(out, "views", 6, packing=Packing("none", "png"), make=open_moments)
    return out
