"""Tensors as safetensors, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from prehend.files import replace_file


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file that has its name only when it is complete.

    It is put together in memory: the library's own writer begins with a file of a random name beside it, which a kill
    leaves behind for good.

    Args:
        path: of the file; its folder is there.
        tensors: contiguous, by their names.
        metadata: what the file says of itself.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    replace_file(path, save(dict(tensors), None if metadata is None else dict(metadata)))
