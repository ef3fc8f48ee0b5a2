"""What was said about frames, as it is judged: from a predictions file of either schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from prehend.errors import InvalidInput, SourceError, one_line
from prehend.io.results.predictions import frame_result, read_predictions
from prehend.types import FrameResult


@dataclass(frozen=True)
class Answered:
    """A frame and what was said about it.

    Attributes:
        source: name of the image, video or bag.
        index: place in the source, from 0.
        result: what was said.
    """

    source: str
    index: int
    result: FrameResult

    @property
    def stamp(self) -> float | None:
        """Of the image [s], None where there is none."""
        return self.result.stamp


@dataclass(frozen=True)
class Answers:
    """A predictions file.

    Attributes:
        frames: in the order they were seen.
        model: name of the weights.
        weights_sha256: of their file.
        complete: False where the run was stopped before its source ended.
    """

    frames: tuple[Answered, ...]
    model: str
    weights_sha256: str
    complete: bool


def read_answers(path: Path) -> Answers:
    """Read a predictions file.

    Raises:
        SourceError: it is none, or a frame of it is damaged; the text names it.
    """
    content = read_predictions(path)
    frames = []
    for row, record in enumerate(content["frames"]):
        try:
            frames.append(Answered(str(record["source"]), int(record["index"]), frame_result(record)))
        except (InvalidInput, LookupError, TypeError, ValueError, OverflowError) as error:
            raise SourceError(f"{path}: frame {row}: {one_line(error)}") from error
    model = content["model"]
    return Answers(
        tuple(frames),
        str(model.get("name", "")),
        str(model.get("weights_sha256", "")),
        bool(content.get("complete", True)),
    )


def period_s(frames: Sequence[Answered]) -> float | None:
    """Median time between frames that follow each other [s], None where they have no stamps."""
    stamps = [frame.stamp for frame in frames if frame.stamp is not None]
    steps = sorted(b - a for a, b in pairwise(stamps) if b > a)
    return steps[len(steps) // 2] if steps else None
