"""From samples to a folder of twins: choose frames, paint candidates, keep the best; goes on where it stopped."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.hand_model.asset import load_hand_model
from prehend_training.datasets.base import Dataset
from prehend_training.deocclude.choose import MadeTwin, deocclude
from prehend_training.deocclude.judge import Judge
from prehend_training.deocclude.region import Faces, find_region, why_not
from prehend_training.deocclude.repaint import Repainter
from prehend_training.deocclude.sheet import write_sheet
from prehend_training.sample import HandLabel, Sample
from prehend_training.storage.twins import Twin, TwinFolder

SHEET_ROWS = 12


class NumberedSamples(Protocol):
    """Samples by number: a dataset's reader, or a folder of shards."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True)
class Work:
    """How much of a source is done, and how twins are kept.

    Attributes:
        limit: largest number of twins to make now, None for all.
        part: (k, n): frames k, k + n, ... alone; parts may run at once and share the folder.
        image: format of the images; only PNG keeps the background to the bit.

    Raises:
        InvalidInput: a number is out of range.
    """

    limit: int | None = None
    part: tuple[int, int] = (0, 1)
    image: Literal["png", "jpg", "webp"] = "png"

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"limit {self.limit} must be positive")
        if not 0 <= self.part[0] < self.part[1]:
            raise InvalidInput(f"part {self.part[0]}/{self.part[1]}: expected K/N with 0 <= K < N")


def faces_of(source: NumberedSamples) -> Callable[[HandLabel], Faces]:
    """The faces of the meshes that a source's hands have: the user's MANO for a dataset, else the shipped hand's.

    Raises:
        InvalidInput: a dataset was opened without MANO's files; then its hands have no meshes.
    """
    if not isinstance(source, Dataset):
        shipped = load_hand_model().without_forearm().faces
        return lambda _: shipped
    if source.mano is None:
        raise InvalidInput(f"{source.source.title} has meshes only with MANO's files: name their folder by --mano")

    def of_dataset(hand: HandLabel) -> Faces:
        model = source.hand_model(hand.side)
        assert model is not None
        return model.faces

    return of_dataset


def make_twins(
    source: NumberedSamples, out: Path, description: Mapping[str, Any], repainter: Repainter, judge: Judge, work: Work
) -> dict[str, int]:
    """Write the twins of a source's frames into a folder, and a contact sheet of the first new ones.

    Args:
        source: frames.
        out: the folder.
        description: where source and weights come from, for the folder's config.json.
        repainter, judge: paint and choose.
        work: how much is done now.

    Returns:
        How many frames got a twin ("twins") and how many got none, by reason. "there already": an earlier run made it.

    Raises:
        InvalidInput: the folder holds other twins.
        AssetError, SourceError: a sample cannot be read, or the networks fail.
    """
    note = {**description, "judge": judge.name, "image": work.image, **asdict(repainter.config)}
    folder, faces = TwinFolder.claim(out, note), faces_of(source)
    counts: Counter[str] = Counter()
    shown: dict[int, MadeTwin] = {}
    for index in _left(len(source), folder.resume(work.part), work.part):
        sample = source[index]
        reason = "there already" if sample.frame_id in folder else why_not(sample)
        region = None if reason else find_region(sample, faces(sample.hands[0]), repainter.config)
        if region is None:
            counts[reason or "not hidden"] += 1
            continue
        made = deocclude(sample, region, repainter, judge)
        twin = _twin_of(made, index, repainter.config.strengths, work)
        folder.write(twin, made.pictures[made.best], region.silhouette, work.part)
        counts["twins"] += 1
        if len(shown) < SHEET_ROWS:
            shown[index] = made
        if counts["twins"] == work.limit:
            break
    if shown:
        write_sheet(folder.path / f"sheet-{min(shown):08d}.png", list(shown.values()), repainter.config.strengths)
    return dict(counts)


def _left(count: int, begin: int, part: tuple[int, int]) -> Iterator[int]:
    """The frames of a part from one on, with a progress bar over all of the part."""
    frames = range(part[0], count, part[1])
    done = sum(1 for index in frames if index < begin)
    yield from tqdm(frames[done:], unit="frame", total=len(frames), initial=done)


def _twin_of(made: MadeTwin, index: int, strengths: tuple[float, ...], work: Work) -> Twin:
    return Twin(
        frame_id=made.sample.frame_id,
        index=index,
        hidden=round(made.region.hidden, 4),
        strength=strengths[made.best],
        strengths=strengths,
        j_pe_m=tuple(round(float(error), 6) for error in made.j_pe_m),
        image=work.image,
    )
