import sys
from pathlib import Path

import pytest

# the training workspace is a package of its own and may not be installed
sys.path[:0] = [str(Path(__file__).parents[2] / "training"), str(Path(__file__).parent)]

from fake import open_fake  # noqa: E402

from prehend_training.shards import write_shards  # noqa: E402


@pytest.fixture(scope="session")
def crops(tmp_path_factory):
    out = tmp_path_factory.mktemp("crops")
    write_shards(out, "crops", 24, 3, 160, open_fake, shard_size=10)
    return out


@pytest.fixture(scope="session")
def frames(tmp_path_factory):
    out = tmp_path_factory.mktemp("frames")
    write_shards(out, "frames", 12, 3, 192, open_fake, shard_size=8)
    return out
