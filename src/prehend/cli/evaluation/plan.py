"""The runs that `prehend eval` judges, and the settings that a run is known by."""

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from prehend import __version__
from prehend.cli.arguments.options import given_options
from prehend.documents import read_json
from prehend.errors import ParameterError, SourceError
from prehend.eval.truth.datasets import is_dataset
from prehend.files import reason
from prehend.io.sources import BAG_SUFFIXES, is_bag
from prehend.pipeline.options import EstimatorOptions, changed
from prehend.weights import load_bundle

_READING = ("track", "topic", "mirrored", "max_megapixels")
_FILES = ("boxes", "cameras", "hand_model")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class EvalPlan:
    """One run.

    Attributes:
        name: in the report, and of its files.
        source: as given.
        predictions: file of predictions that are there already; empty for a source that is to be run.
        truth: file of the truth that an earlier judgement kept.
        media: where images can be had, None for nowhere.
        dataset: `NAME[:SPLIT]` whose folder the source is.
    """

    name: str
    source: str
    predictions: Path = field(default_factory=Path)
    truth: Path | None = None
    media: Path | None = None
    dataset: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether it has to be run first."""
        return self.predictions == Path()


def plans_of(sources: Sequence[str], truths: Sequence[str]) -> list[EvalPlan]:
    """The runs of some sources, each with a name of its own.

    Raises:
        SourceError: nothing is there.
        ParameterError: a camera is no source.
    """
    datasets = [text for text in truths if is_dataset(text)]
    if len(datasets) > 1:
        raise ParameterError("--truth: one dataset at a time")
    plans: list[EvalPlan] = []
    for source in sources:
        for plan in _plans_of_source(source, datasets[0] if datasets else None):
            plans.append(_renamed(plan, {other.name for other in plans}))
    return plans


def settings_of(args: argparse.Namespace, plan: EvalPlan) -> dict[str, Any]:
    """All that a run's predictions depend on; the same settings make the same predictions.

    Raises:
        PrehendError: the weights or a file cannot be read.
    """
    settings: dict[str, Any] = {"source": plan.source, "source_sha256": checksum(Path(plan.source))}
    if plan.dataset is not None:
        settings |= {"dataset": plan.dataset, "source_sha256": None}
    settings |= {name: getattr(args, name) for name in _READING}
    options = changed(EstimatorOptions(), **given_options(args))
    settings |= {one.name: _plain(getattr(options, one.name)) for one in fields(options) if one.name != "tracking"}
    for name in _FILES:
        path = getattr(args, name)
        settings[name] = None if path is None else f"{path} (sha256 {checksum(path)})"
    settings["weights_sha256"] = load_bundle(options.model).weights_sha256
    settings["detector_sha256"] = load_bundle(options.detector).weights_sha256
    settings["wall_times"] = not args.no_timing
    settings["prehend"] = __version__
    return settings


def _plain(value: Any) -> Any:
    """A number, a truth value or text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value)


def is_output(path: Path) -> bool:
    """Whether a folder is the output of an earlier judgement."""
    return (path / "metrics.json").is_file() and (path / "predictions").is_dir()


def checksum(path: Path) -> str:
    """sha256 of a file, or of the names and contents of the files below a folder.

    Raises:
        SourceError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        files = [path] if not path.is_dir() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            if path.is_dir():
                digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
            with file.open("rb") as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
    except (OSError, ValueError) as error:
        said = reason(error) if isinstance(error, OSError) else "no file has that name"
        raise SourceError(f"{path}: {said}") from error
    return digest.hexdigest()


def _plans_of_source(source: str, dataset: str | None) -> Iterator[EvalPlan]:
    path = Path(source)
    if is_output(path):
        yield from _of_output(path)
        return
    if not path.exists():
        if source.isdecimal() or source.startswith("/dev/"):
            raise ParameterError(f"{source}: a camera gives other images each time: record it first")
        raise SourceError(f"{source}: no such file or folder")
    if path.suffix.lower() in (".json", ".jsonl") and path.is_file():
        yield EvalPlan(path.stem, source, predictions=path)
        return
    yield EvalPlan(_name_of(path), source, media=None if dataset else path, dataset=dataset)


def _of_output(path: Path) -> Iterator[EvalPlan]:
    """The runs of an output folder, in its order."""
    content = read_json(path / "metrics.json")
    names = content.get("runs") if isinstance(content, dict) else None
    files = [path / "predictions" / f"{name}.json" for name in names] if isinstance(names, dict) else []
    if not files or not all(file.is_file() for file in files):
        raise SourceError(f"{path}: no predictions in it: it was not finished, run the command that makes it again")
    for file in files:
        name = path.resolve().name if len(files) == 1 else f"{path.resolve().name}_{file.stem}"
        truth = path / "truth" / file.name
        yield EvalPlan(name, str(path), file, truth if truth.is_file() else None, _media_of(file))


def _media_of(predictions: Path) -> Path | None:
    beside = predictions.with_name(f"{predictions.stem}.settings.json")
    content = read_json(beside) if beside.is_file() else {}
    source = content.get("source") if isinstance(content, dict) and not content.get("dataset") else None
    return Path(source) if isinstance(source, str) and Path(source).exists() else None


def _name_of(path: Path) -> str:
    resolved = path.resolve()
    is_file = resolved.is_file() or (is_bag(resolved) and resolved.suffix in BAG_SUFFIXES)
    return (resolved.stem if is_file else resolved.name) or "run"


def _renamed(plan: EvalPlan, taken: set[str]) -> EvalPlan:
    name, number = plan.name, 2
    while name in taken:
        name, number = f"{plan.name}_{number}", number + 1
    return replace(plan, name=name)
