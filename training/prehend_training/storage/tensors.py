"""Tensors as safetensors, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from prehend.errors import OutputError
from prehend.files import reason, replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file that has its name only when it is complete, and that everybody may read.

    Args:
        path: of the file; its folder is there.
        tensors: contiguous, by their names.
        metadata: what the file says of itself.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    try:
        with replacing(path) as part:
            save_file(dict(tensors), part, metadata=None if metadata is None else dict(metadata))
            part.chmod(0o644)  # it is written for its owner alone
    except (OSError, SafetensorError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise OutputError(f"{path} cannot be written: {why}") from error
