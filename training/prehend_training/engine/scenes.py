"""Folders of scenes: what each kind is made of, and making them with an engine."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from tqdm import tqdm

from prehend.errors import InvalidInput
from prehend.object_catalogue import own_folders
from prehend_training.engine import EngineOptions, Job, open_engine
from prehend_training.objects.asset_split import AssetSplit, drawn_from
from prehend_training.sample import Sample
from prehend_training.storage.codec import Packing
from prehend_training.storage.shards import ShardNote, claim, commit, read_note, shard_name, write_index, write_shard

if TYPE_CHECKING:
    from prehend_training.scenes.render.render import SceneRenderer

Kind = Literal["crops", "frames", "views", "sequences"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SIZES_PX: dict[Kind, int] = {"crops": 160, "frames": 320, "views": 320, "sequences": 320}
"""Width of an image where nobody asks for another."""
SHARD_UNITS: dict[Kind, int] = {"crops": 256, "frames": 128, "views": 16, "sequences": 2}
"""Units in a shard: ten to thirty seconds of work, so that little is lost when a command is stopped."""


_WIDEST_PX = 8192


@dataclass(frozen=True)
class SceneConfig:
    """Which images; with a unit's number it decides every byte.

    Attributes:
        kind: `crops` of one hand; whole `frames`; `views`: instants of sequences as all cameras of a rig see them;
            `sequences`: whole sequences of one camera.
        seed: of everything drawn by chance.
        size_px: width of an image.
        packing: how samples are written.
        photos: folder with photographs for backgrounds, None for none.
        asset_split: which objects and skins may appear.
    """

    kind: Kind
    seed: int
    size_px: int
    packing: Packing = field(default_factory=Packing)
    photos: Path | None = None
    asset_split: AssetSplit = "all"

    def __post_init__(self) -> None:
        if self.size_px < 16:
            raise InvalidInput(f"images of {self.size_px} px: 16 is the least")
        if self.size_px > _WIDEST_PX:
            raise InvalidInput(f"images of {self.size_px} px: {_WIDEST_PX} is the most")
        if self.photos is not None and not self.photos.is_dir():
            raise InvalidInput(f"{self.photos} is no folder of photographs")

    def describe(self) -> dict[str, Any]:
        """The configuration as JSON; photographs and objects of one's own by the names and sizes of their files."""
        return {
            "kind": self.kind,
            "seed": self.seed,
            "size_px": self.size_px,
            **asdict(self.packing),
            "photos": None if self.photos is None else _fingerprint(self.photos),
            "own_objects": [_fingerprint(folder) for folder in own_folders()],
            **({} if self.asset_split == "all" else {"stock": self.asset_split}),
        }


_INSTANT = 3
"""Tells the random number of an instant from those of crops (0), frames (1) and sequences (2)."""

Maker = Callable[[int], Iterable[Sample]]
"""From a unit's number to its samples."""
OpenMaker = Callable[[SceneConfig], Maker]


def _fingerprint(folder: Path) -> str:
    files = [(str(p.relative_to(folder)), p.stat().st_size) for p in sorted(folder.rglob("*")) if p.is_file()]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def open_maker(config: SceneConfig) -> Maker:
    """The renderer as a function from a unit's number to its samples; call it in the process that shall draw."""
    from prehend_training.scenes.render.render import SceneRenderer, crop_sample, frame_sample

    renderer, maps, size = SceneRenderer(config.photos), config.packing.maps != "none", config.size_px
    if config.kind not in ("crops", "frames"):
        return lambda unit: _along(renderer, config, unit)

    def make(unit: int) -> list[Sample]:
        with drawn_from(config.asset_split):
            if config.kind == "crops":
                return [crop_sample(renderer, config.seed, unit, size, maps)]
            return [frame_sample(renderer, config.seed, unit, size, maps=maps)]

    return make


def _along(renderer: "SceneRenderer", config: SceneConfig, unit: int) -> Iterator[Sample]:
    """A sequence: any one instant of it by all its cameras, or all of it by one, every other time that on the head."""
    from prehend_training.scenes.layout.sequences import sample_sequence

    size = (config.size_px, config.size_px * 3 // 4)
    with drawn_from(config.asset_split):
        sequence = sample_sequence(config.seed, unit, size=size)
    maps = config.packing.maps != "none"
    if config.kind == "views":
        frame = int(np.random.default_rng([config.seed, unit, _INSTANT]).integers(sequence.frames))
        views = sequence.views(frame)
        yield from renderer.render_views(
            sequence.scene(frame), views, sequence.frame_id(frame, views[0].name), maps=maps
        )
        return
    for frame in range(sequence.frames):
        *rig, ego = sequence.views(frame)
        view = ego if unit % 2 else rig[unit // 2 % len(rig)]
        yield renderer.render(sequence.scene(frame), view, sequence.frame_id(frame, view.name), maps=maps)


def write_scenes(
    out: Path,
    config: SceneConfig,
    count: int,
    engine: EngineOptions | None = None,
    shard_units: int | None = None,
    make: OpenMaker = open_maker,
) -> Path:
    """Render `count` units into a folder of shards; those that are there and sound are left alone.

    Args:
        out: the folder; with an engine of several machines all must see it under this path.
        config: which images; a folder holds those of one configuration.
        count: number of units; may be raised later to add to a folder.
        engine: where they are rendered (this process); the result does not depend on it.
        shard_units: units a shard.
        make: what renders, importable from its module.

    Returns:
        The path of index.json.

    Raises:
        InvalidInput: a number is not positive, or the folder holds something else.
        EngineError: rendering failed.
    """
    shard_units = SHARD_UNITS[config.kind] if shard_units is None else shard_units
    if count <= 0 or shard_units <= 0:
        raise InvalidInput(f"count {count} and shard size {shard_units} must be positive")
    out = out.resolve()
    claim(out, {**config.describe(), "shard_units": shard_units})
    (out / "index.json").unlink(missing_ok=True)
    notes: dict[str, ShardNote] = {}
    jobs = []
    for start in range(0, count, shard_units):
        units = range(start, min(start + shard_units, count))
        name = shard_name(start // shard_units)
        note = read_note(out / name)
        if note is not None and note.units == len(units):
            notes[name] = note
        else:
            jobs.append(Job(f"{name} (scenes {units.start} to {units.stop - 1})", (out / name, units)))
    runner = open_engine(engine or EngineOptions(), partial(_open_work, config, make, commit()))
    rendered = sum(note.samples for note in notes.values())
    with tqdm(total=count, initial=sum(note.units for note in notes.values()), unit=config.kind[:-1]) as bar:
        for job, note in runner.map(jobs):
            notes[job.task[0].name] = note
            rendered += note.samples
            bar.set_postfix_str(f"{rendered} images", refresh=False)
            bar.update(note.units)
    return write_index(out, notes)


def _open_work(config: SceneConfig, make: OpenMaker, commit_: str) -> Callable[[tuple[Path, range]], ShardNote]:
    maker = make(config)

    def work(task: tuple[Path, range]) -> ShardNote:
        path, units = task
        return write_shard(path, _made(maker, units), config.packing, commit_)

    return work


def _made(maker: Maker, units: range) -> Iterator[tuple[int, Iterable[Sample]]]:
    return ((unit, maker(unit)) for unit in units)
