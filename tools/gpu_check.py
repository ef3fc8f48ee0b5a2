"""Every check that needs a GPU, in one command of at most ten minutes: `python tools/gpu_check.py`.

Each backend runs in a process of its own: engines are built, answers are compared with torch in float32 on the
processor (joints in millimetres, on fixed crops), and the hand network's stages are timed at batches of 1, 2, 8 and
64; where crops are cut there, they are compared with the processor's. What is not there is said; what is there and does
not work makes the exit code 1. The tables are for docs/ENGINES.md.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gpu_crops import ALLOWED_LEVELS, crops_table, measure_crops

from prehend.backends import Backend, BackendSettings, open_backend
from prehend.errors import DeviceError, MissingDependency, PrehendError
from prehend.weights import Bundle, load_bundle

BATCHES = (1, 2, 8, 64)
WEIGHTS, DETECTOR = "unihope-s", "palm"
ALLOWED_MM = {"float32": 0.1, "float16": 3.0, "bfloat16": 3.0}
DISTRIBUTIONS = (
    "prehend", "torch", "tensorrt", "cuda-bindings", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnx",
    "numpy",
)  # fmt: skip
_LONGEST_S = 2.0
"""Time for the measurement of one stage at one batch."""


class Check(NamedTuple):
    """One way to run the networks."""

    backend: str
    provider: str
    precision: str = "float32"
    compiled: bool = False

    @property
    def name(self) -> str:
        """For a person, and for the process that runs it."""
        return "-".join([*self[:3], *(["compiled"] if self.compiled else [])])

    @property
    def cuts(self) -> bool:
        """Whether it cuts crops where its network runs."""
        return self.provider in ("cpu", "cuda", "tensorrt")


CHECKS = (
    Check("torch", "cpu"),
    Check("onnx", "cpu"),
    Check("torch", "cuda"),
    Check("torch", "cuda", "float16"),
    Check("torch", "cuda", "bfloat16"),
    Check("torch", "cuda", "float32", compiled=True),  # compiled, and captured as CUDA graphs
    Check("torch", "cuda", "float16", compiled=True),
    Check("tensorrt", "cuda"),
    Check("tensorrt", "cuda", "float16"),
    Check("onnx", "cuda"),
    Check("onnx", "tensorrt"),
    Check("onnx", "openvino"),
)


def run_one(check: Check, folder: Path) -> dict[str, Any]:
    """Build, open, compare and time one of them; the report of its process."""
    from prehend.export.engine import export_engine
    from prehend.export.parity import compare_apart

    settings = BackendSettings(
        provider=check.provider, precision=check.precision, compiled=check.compiled, engine_dir=folder
    )
    report: dict[str, Any] = {}
    began = time.perf_counter()
    bundle, detector = load_bundle(WEIGHTS), load_bundle(DETECTOR)
    if check.backend == "tensorrt" or check.precision != "float32":
        manifests = [export_engine(weights, check.backend, settings).manifest for weights in (bundle, detector)]
        layers = [kind for told in manifests[0]["precision_found"].values() for kind in told.values()]
        report["layers"] = {kind: layers.count(kind) for kind in sorted(set(layers))}
        report["built_with"] = manifests[0]["built_with"]
    backend = opened(check, bundle, settings)
    report["ready_s"] = round(time.perf_counter() - began, 1)
    found = compare_apart(open_backend("torch", bundle), backend)
    report |= {"joints_mm": round(found.joints_mm, 4), "joints_mean_mm": round(found.joints_mean_mm, 4)}
    if not found.joints_mm <= ALLOWED_MM[check.precision]:
        report["failed"] = f"joints lie {found.joints_mm:.3g} mm from torch's, allowed {ALLOWED_MM[check.precision]} mm"
    batches = BATCHES[:-1] if check.provider in ("cpu", "openvino") else BATCHES  # 64 at once are for a GPU
    report["ms"] = {str(items): time_stages(backend, items) for items in batches}
    if check.cuts:
        report["crops"] = crops = measure_crops(backend, check.provider)
        allowed = ALLOWED_MM[check.precision]
        if "ms" in crops and not (crops["levels_mean"] <= ALLOWED_LEVELS and crops["joints_mm"] <= allowed):
            report["failed"] = (
                f"its crops are {crops['levels_mean']:.3g} levels off, joints {crops['joints_mm']:.3g} mm"
            )
    backend.close()
    finder = open_backend(check.backend, detector, settings)
    report["detector_ms"] = time_stages(finder, 1)
    finder.close()
    return report


def opened(check: Check, bundle: Bundle, settings: BackendSettings) -> Backend:
    """The backend; on the processor torch cuts crops too, which tells of no GPU but tries the code."""
    if check.provider != "cpu":
        return open_backend(check.backend, bundle, settings)
    from prehend.backends.onnx_ import OnnxBackend
    from prehend.backends.torch_ import TorchBackend
    from prehend.backends.torch_crops import Cutter

    if check.backend == "onnx":
        return OnnxBackend(bundle, settings, Cutter("cpu"))
    return TorchBackend(bundle, settings, cuts=True)


def time_stages(backend: Backend, items: int) -> dict[str, float]:
    """Median time of each stage for a batch [ms], copies to the GPU and back included."""
    from prehend.export.parity import copied, stage_inputs

    known: dict[str, np.ndarray] = {}
    taken = {}
    for stage in backend.bundle.stages:
        inputs = stage_inputs(backend.bundle, stage, known, items, np.random.default_rng(0))
        known.update(copied(backend.infer(stage, inputs)))  # what happens once happens here
        times: list[float] = []
        ends = time.perf_counter() + _LONGEST_S
        while len(times) < 3 or (len(times) < 100 and time.perf_counter() < ends):
            start = time.perf_counter()
            backend.infer(stage, inputs)
            times.append(1e3 * (time.perf_counter() - start))
        taken[stage] = round(statistics.median(times), 3)
    return taken


def child(name: str, folder: Path) -> int:
    """Run one check and print its report as the last line."""
    check = next(check for check in CHECKS if check.name == name)
    try:
        report = run_one(check, folder)
    except (MissingDependency, DeviceError) as error:
        report = {"missing": str(error)}
    except PrehendError as error:
        report = {"failed": str(error)}
    except Exception as error:  # noqa: BLE001 - a wrong call of a library is what this program is to find
        traceback.print_exc()
        report = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    print(json.dumps(report), flush=True)
    return 0


def run_apart(check: Check, folder: Path, seconds: float) -> dict[str, Any]:
    """Run one check in a process of its own; a crash or a hang is its result."""
    if seconds < 5:
        return {"missing": "no time was left"}
    command = [sys.executable, __file__, "--one", check.name, "--folder", str(folder)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"missing": f"did not end in {seconds:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"failed": f"its process ended with {done.returncode}"}
    return dict(json.loads(lines[-1]))


def environment() -> dict[str, str]:
    """Versions, the processor and the GPU."""
    found = {"python": platform.python_version(), "machine": platform.platform()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader"]
        found["gpu"] = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found["gpu"] = "none: nvidia-smi is missing or sees none"
    return found


def table(reports: dict[str, dict[str, Any]]) -> str:
    """The reports as Markdown."""
    head = ["backend", "joints off [mm], worst (mean)", *(f"batch {n} [ms]" for n in BATCHES), "detector [ms]"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, report in reports.items():
        if "ms" in report:
            state = f"{report['joints_mm']:.3g} ({report['joints_mean_mm']:.3g})"
            sums = {n: f"{sum(told.values()):.2f}" for n, told in report["ms"].items()}
            cells = [sums.get(str(n), "-") for n in BATCHES]
            cells.append(f"{next(iter(report['detector_ms'].values())):.2f}")
        else:
            state, cells = f"missing: {report['missing']}" if "missing" in report else "", [""] * (len(BATCHES) + 1)
        if "failed" in report:
            state = f"FAILED: {report['failed']}"
        lines.append("| " + " | ".join([name, state, *cells]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run every check and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.5, help="for everything (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("out/gpu_check.json"), help="where the figures go")
    parser.add_argument("--only", metavar="TEXT", default="", help="checks whose name contains this")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return child(options.one, options.folder)
    ends = time.monotonic() + 60 * options.minutes
    chosen = [check for check in CHECKS if options.only in check.name]
    facts, reports = environment(), {}
    print(*(f"{name:22s} {value}" for name, value in facts.items()), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, check in enumerate(chosen):
            # one that hangs leaves the others their share
            left = ends - time.monotonic()
            share = max(left / (len(chosen) - number), min(left, 150.0))
            reports[check.name] = run_apart(check, Path(folder), min(left, share))
            said = next(
                (f"{key}: {reports[check.name][key]}" for key in ("failed", "missing") if key in reports[check.name]),
                "ok",
            )
            print(f"{number + 1:2d}/{len(chosen)} {check.name:32s} {said}", flush=True)
    print(f"\n{table(reports)}")
    if cut := {check.name: reports[check.name] for check in chosen if check.cuts}:
        print(f"\n{crops_table(cut)}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"environment": facts, "checks": reports}, indent=1) + "\n")
    failed = [name for name, report in reports.items() if "failed" in report]
    missing = [name for name, report in reports.items() if "missing" in report]
    print(f"\n{len(reports) - len(failed) - len(missing)} ran, {len(missing)} missing, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
