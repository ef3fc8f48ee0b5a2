"""Folders of crops that are chosen or made unit by unit: shards, and beside each what was decided of its units.

DIR/shard-00000.tar, .json, index.json    as in `prehend_training.storage.shards`
DIR/shard-00000.units.jsonl               a line a unit: its number, how many samples it gave, and why
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from prehend.errors import AssetError, InvalidInput
from prehend.files import replace_text
from prehend_training.engine import EngineOptions, Job, open_engine
from prehend_training.sample import Sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import (
    ShardFolder,
    ShardNote,
    claim,
    commit,
    read_note,
    shard_name,
    write_index,
    write_shard,
)

UNITS = ".units.jsonl"


class Made(NamedTuple):
    """What came of a unit: its number, its samples (none where it was dropped), and what is told of it, as JSON."""

    unit: int
    samples: Sequence[Sample]
    told: Mapping[str, Any]


Maker = Callable[[range], Iterator[Made]]
"""From numbers of units to what comes of each, in their order."""


@dataclass(frozen=True)
class FolderPlan:
    """A folder that is to be filled.

    Attributes:
        out: the folder.
        config: what decides about its content, as JSON; with a unit's number it decides every byte.
        count: of units.
        shard_units: units of a shard: so much is lost at most when a command is stopped.
        unit: what one is called on the progress bar.
        packing: how samples are written.
        engine: where the work is done.
    """

    out: Path
    config: Mapping[str, Any]
    count: int
    shard_units: int = 64
    unit: str = "crop"
    packing: Packing = field(default_factory=lambda: Packing("none"))
    engine: EngineOptions = field(default_factory=EngineOptions)


def fill(plan: FolderPlan, open_maker: Callable[[], Maker]) -> Path:
    """Fill a folder; shards that are there and sound are left alone.

    Args:
        plan: what.
        open_maker: importable from its module; called once in each process that works.

    Returns:
        The path of index.json.

    Raises:
        InvalidInput: a number is not positive, or the folder holds something else.
        EngineError: a unit failed; what is complete is kept.
    """
    if plan.count <= 0 or plan.shard_units <= 0:
        raise InvalidInput(f"count {plan.count} and shard size {plan.shard_units} must be positive")
    out = plan.out.resolve()
    config = json.loads(json.dumps(plan.config))
    claim(out, {"kind": "crops", "image": plan.packing.image, "shard_units": plan.shard_units, **config})
    (out / "index.json").unlink(missing_ok=True)
    notes: dict[str, ShardNote] = {}
    jobs = []
    for start in range(0, plan.count, plan.shard_units):
        units = range(start, min(start + plan.shard_units, plan.count))
        path = out / shard_name(start // plan.shard_units)
        note = read_note(path)
        if note is not None and note.units == len(units) and path.with_suffix(UNITS).exists():
            notes[path.name] = note
        else:
            jobs.append(Job(f"{path.name} ({plan.unit}s {units.start} to {units.stop - 1})", (path, units)))
    runner = open_engine(plan.engine, partial(_open_work, open_maker, plan.packing, commit()))
    kept = sum(note.samples for note in notes.values())
    with tqdm(total=plan.count, initial=sum(note.units for note in notes.values()), unit=plan.unit) as bar:
        for job, note in runner.map(jobs):
            notes[job.task[0].name] = note
            kept += note.samples
            bar.set_postfix_str(f"{kept} images", refresh=False)
            bar.update(note.units)
    return write_index(out, notes)


def _open_work(
    open_maker: Callable[[], Maker], packing: Packing, commit_: str
) -> Callable[[tuple[Path, range]], ShardNote]:
    maker = open_maker()

    def work(task: tuple[Path, range]) -> ShardNote:
        path, units = task
        lines: list[str] = []
        note = write_shard(path, _noted(maker(units), lines), packing, commit_)
        replace_text(path.with_suffix(UNITS), "".join(lines))
        return note

    return work


def _noted(made: Iterator[Made], lines: list[str]) -> Iterator[tuple[int, Sequence[Sample]]]:
    for unit, samples, told in made:
        lines.append(json.dumps({"unit": unit, "samples": len(samples), **told}) + "\n")
        yield unit, samples


def read_units(folder: Path) -> list[dict[str, Any]]:
    """What was decided of each unit of a folder that `fill` filled, in their order.

    Raises:
        AssetError: the folder is none, or a file is damaged.
    """
    # of a folder that had more units once others lie there too
    paths = [(folder / name).with_suffix(UNITS) for name in ShardFolder.open(folder).description["shards"]]
    if not all(path.exists() for path in paths):
        raise AssetError(f"{folder} is no folder of `prehend-train boost`: it says nothing of its units")
    try:
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    except ValueError as error:
        raise AssetError(f"{folder}: what is told of its units is damaged ({error}): make it again") from error
