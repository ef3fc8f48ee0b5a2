"""Making engines: graphs, plans and measurements in one folder, with the manifest that says what they are.

Everything is made beside its place and moved there when it is whole; two processes that want the same engine wait for
each other, and the second takes what the first has made.
"""

import datetime
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from prehend import __version__
from prehend.backends import BACKENDS
from prehend.backends.base import Backend
from prehend.backends.engine_files import (
    MANIFEST,
    SCHEMA,
    checked_engine,
    engine_folder,
    export_command,
    locked,
    write_manifest,
)
from prehend.backends.onnx_ import OnnxBackend
from prehend.backends.onnx_ import running_on as onnx_running_on
from prehend.backends.settings import FULL, BackendSettings
from prehend.backends.tensorrt_ import TensorRTBackend
from prehend.backends.tensorrt_api import Batches, TensorRT, import_tensorrt
from prehend.backends.torch_ import PRECISIONS as TORCH_PRECISIONS
from prehend.backends.torch_ import PROVIDERS as TORCH_PROVIDERS
from prehend.backends.torch_ import TorchBackend
from prehend.backends.torch_ import running_on as torch_running_on
from prehend.errors import EngineMismatch, OutputError, UnknownName, WeightsMismatch
from prehend.export.graph import complete_graph, graph_sha256, precisions_of
from prehend.export.parity import NUM_CROPS, TOLERANCE_MM, Parity, compare_apart
from prehend.files import reason, replace_file
from prehend.weights import Bundle, file_sha256

LARGEST_MM = {FULL: TOLERANCE_MM, "int8": 12.0}
LARGEST_REDUCED_MM = 3.0
"""An engine whose joints lie further from torch's in float32, the worst joint of the fixed crops, is not written.
That is for engines that are broken: what a precision costs is measured on hundreds of crops (docs/ENGINES.md)."""

_LOG = logging.getLogger(__name__)


class Exported(NamedTuple):
    """An engine that is there now, and whether it had to be made."""

    folder: Path
    manifest: Mapping[str, Any]
    made: bool


class _Made(NamedTuple):
    """Files of an engine in the making: by stage, its file, the SHA-256 of the complete graph, and each layer's
    precision."""

    files: dict[str, Path]
    graphs: dict[str, str]
    layers: dict[str, dict[str, str]]


class _Maker(NamedTuple):
    """How engines of one backend are made."""

    provider: str
    running_on: Callable[[], dict[str, str]]
    make: Callable[[Bundle, BackendSettings, Path], _Made]
    open: Callable[[Bundle, BackendSettings], Backend]


def export_engine(
    bundle: Bundle,
    backend: str,
    settings: BackendSettings | None = None,
    *,
    command: str | None = None,
    force: bool = False,
    api: TensorRT | None = None,
) -> Exported:
    """Make the engine of some weights, unless the right one is there.

    Args:
        bundle: the weights.
        backend: "tensorrt", "onnx" or "torch".
        settings: provider, precision and folder of the engines.
        command: what the manifest says made it; None for `prehend export` with the same meaning.
        force: make it anew although the right one is there.
        api: the TensorRT library, None imports it.

    Raises:
        UnknownName: there is no such backend.
        ParameterError: the backend has not that provider or precision.
        MissingDependency: TensorRT is not installed.
        DeviceError: there is no GPU where one is needed.
        EngineMismatch: the precision that was asked for is found in no layer, or TensorRT refuses the graph.
        WeightsMismatch: the engine's joints lie too far from torch's.
        OutputError: the folder cannot be written.
    """
    settings = settings or BackendSettings()
    maker = _maker(backend, settings, api)
    folder = engine_folder(bundle, backend, maker.provider, settings)
    with locked(folder):
        facts = maker.running_on()
        if not force:
            try:
                return Exported(
                    folder, checked_engine(bundle, backend, maker.provider, settings, facts).manifest, False
                )
            except EngineMismatch as why:
                _LOG.info("%s", why)
        said = command or export_command(bundle, backend, maker.provider, settings)
        manifest = _make_whole(bundle, backend, settings, maker, facts, said)
    return Exported(folder, manifest, True)


def _make_whole(
    bundle: Bundle, backend: str, settings: BackendSettings, maker: _Maker, facts: dict[str, str], command: str
) -> dict[str, Any]:
    """Make an engine in a folder of its own, measure it there, and move it to its place, its manifest last."""
    final = engine_folder(bundle, backend, maker.provider, settings)
    beside = final.with_name(f".{final.name}.part")
    apart = replace(settings, engine_dir=beside)
    part = engine_folder(bundle, backend, maker.provider, apart)
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of one that was killed: whoever holds the lock is alone
        part.mkdir(parents=True, exist_ok=True)
        made = maker.make(bundle, settings, part)
        manifest = _manifest(bundle, backend, settings, maker, facts, made) | {"command": command}
        _check_precision(settings.precision, made)
        write_manifest(part, manifest)
        manifest["parity"] = _measured(bundle, apart, maker)
        _move(part, final, manifest, made)
    except OSError as error:
        raise OutputError(f"{final} cannot be written: {reason(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


def _manifest(
    bundle: Bundle, backend: str, settings: BackendSettings, maker: _Maker, facts: dict[str, str], made: _Made
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "backend": backend,
        "provider": maker.provider,
        "precision": settings.precision,
        "compiled": settings.compiled,
        "precision_found": made.layers,
        "weights": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "graphs": {name: file_sha256(file.path) for name, file in bundle.stages.items()},
        "stages": {
            name: {"file": path.name, "sha256": file_sha256(path), "onnx_sha256": made.graphs[name]}
            for name, path in made.files.items()
        },
        "batches": list(Batches()) if backend == "tensorrt" else None,
        "built_with": facts,
        "prehend": __version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "parity": None,
    }


def _check_precision(asked: str, made: _Made) -> None:
    """Raise `EngineMismatch` where no layer runs as was asked for: a builder that ignores a wish says nothing."""
    kinds = {
        stage: {kind for told in layers.values() for kind in told.split("+")} for stage, layers in made.layers.items()
    }
    if asked == "int8":  # a stage without products of matrices has nothing to quantise
        kinds = {"any": set().union(*kinds.values())}
    for stage, found in kinds.items():
        if asked not in (FULL, *found):
            raise EngineMismatch(
                f"stage '{stage}' was asked for in {asked}, its layers are {', '.join(sorted(found)) or 'unknown'}"
            )


def _measured(bundle: Bundle, settings: BackendSettings, maker: _Maker) -> dict[str, Any]:
    """What an engine answers beside torch in float32 on the processor."""
    reference, engine = TorchBackend(bundle), maker.open(bundle, settings)
    try:
        found = compare_apart(reference, engine)
    finally:
        engine.close()
    _check_parity(bundle, settings, found)
    return {
        "against": "torch float32 on the processor",
        "crops": NUM_CROPS,
        "joints_mm": round(found.joints_mm, 4),
        "joints_mean_mm": round(found.joints_mean_mm, 4),
        "largest_of_range": {name: float(f"{value:.3g}") for name, value in found.largest.items()},
    }


def _check_parity(bundle: Bundle, settings: BackendSettings, found: Parity) -> None:
    allowed = LARGEST_MM.get(settings.precision, LARGEST_REDUCED_MM)
    if not found.joints_mm <= allowed:
        raise WeightsMismatch(
            f"in {settings.precision} the joints of '{bundle.name}' lie up to {found.joints_mm:.3g} mm from torch's in "
            f"float32, allowed are {allowed:g} mm: take another precision"
        )


def _move(part: Path, final: Path, manifest: dict[str, Any], made: _Made) -> None:
    """Files first, each by a rename, then the manifest; what belonged to an older one goes last."""
    final.mkdir(parents=True, exist_ok=True)
    for path in made.files.values():
        path.replace(final / path.name)
    write_manifest(final, manifest)
    kept = {MANIFEST, *(path.name for path in made.files.values())}
    for path in final.iterdir():
        if path.is_file() and path.name not in kept:
            path.unlink(missing_ok=True)


def _maker(backend: str, settings: BackendSettings, api: TensorRT | None) -> _Maker:
    if backend == "onnx":
        provider = settings.only("onnx", ("cpu", "cuda", "tensorrt", "openvino"), ("float32", "float16", "int8"))
        return _Maker(provider, lambda: onnx_running_on(provider), _make_graphs, OnnxBackend)
    if backend == "torch":
        provider = settings.only("torch", TORCH_PROVIDERS, TORCH_PRECISIONS)
        TorchBackend.check_device(provider)
        return _Maker(provider, lambda: torch_running_on(provider), _watch_torch, _open_torch)
    if backend == "tensorrt":
        provider = settings.only("tensorrt", ("cuda",), ("float32", "float16"))
        library = api or import_tensorrt()
        return _Maker(
            provider,
            library.running_on,
            lambda bundle, told, folder: _make_plans(library, bundle, told, folder),
            lambda bundle, told: TensorRTBackend(bundle, told, library),
        )
    raise UnknownName("engine", backend, BACKENDS)


def _make_graphs(bundle: Bundle, settings: BackendSettings, folder: Path) -> _Made:
    """Complete ONNX graphs."""
    made = _Made({}, {}, {})
    for stage in bundle.stages:
        model = complete_graph(bundle, stage, settings.precision)
        made.graphs[stage] = graph_sha256(model)
        made.layers[stage] = precisions_of(model)
        made.files[stage] = folder / f"{stage}-{made.graphs[stage][:12]}.onnx"
        replace_file(made.files[stage], model.SerializeToString(deterministic=True))
    return made


def _make_plans(api: TensorRT, bundle: Bundle, settings: BackendSettings, folder: Path) -> _Made:
    """TensorRT's plans; its timing cache stays in the folder of all engines, for the next build on this GPU."""
    facts = api.running_on()
    name = "-".join(facts.values()).replace(" ", "_").replace("/", "_")
    timing = settings.engines / f"timing-{name}.cache"
    timings = timing.read_bytes() if timing.is_file() else b""
    made = _Made({}, {}, {})
    for stage, file in bundle.stages.items():
        model = complete_graph(bundle, stage, settings.precision)
        made.graphs[stage] = graph_sha256(model)
        plan = api.build(model.SerializeToString(), file.inputs, Batches(), timings)
        timings, made.layers[stage] = plan.timings, plan.layers
        made.files[stage] = folder / f"{stage}-{made.graphs[stage][:12]}.plan"
        replace_file(made.files[stage], plan.data)
    replace_file(timing, timings)
    return made


def _watch_torch(bundle: Bundle, settings: BackendSettings, _folder: Path) -> _Made:
    """torch builds nothing beforehand: its engine is the measurement."""
    backend = TorchBackend(bundle, replace(settings, compiled=False), measured=False)
    made = _Made({}, {}, {})
    with backend.watched() as layers:
        compare_apart(backend, backend)
    made.layers["all"] = layers
    backend.close()
    return made


def _open_torch(bundle: Bundle, settings: BackendSettings) -> Backend:
    return TorchBackend(bundle, settings, measured=False)
