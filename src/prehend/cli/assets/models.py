"""`prehend models`: the weights that are here, and what they can do."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import Parser

if TYPE_CHECKING:
    from prehend.weights import Bundle

_COLUMNS = ("name", "what for", "size", "parameters", "licence", "accuracy")

_PURPOSE = {
    "detect": "finds hands in images",
    "find": "finds hands in images",
    "denoise": "draws, completes and fits hand meshes",
    "encode": "a hand's joints, mesh, grasp and what it holds",
}
"""What weights are for, by a stage that they have."""


def run(argv: list[str]) -> int:
    """Write the table; returns the exit code."""
    parser = Parser("prehend models", "List the weights that are here: what they are for, and how good they are.")
    parser.add_argument("--details", action="store_true", help="everything that was measured of them besides")
    parser.add_argument("--json", action="store_true", help="whole manifests, as JSON")
    args = parser.parse_args(argv)

    from prehend.errors import AssetError
    from prehend.weights import SHIPPED, available, load_bundle

    bundles = [load_bundle(name) for name in available()]
    if not bundles:
        raise AssetError(f"no weights in {SHIPPED}: install the package again")
    if args.json:
        sys.stdout.write(json.dumps([dict(bundle.manifest) for bundle in bundles], indent=2) + "\n")
        return 0
    rows = [_COLUMNS, *(_row(bundle) for bundle in bundles)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")
    for bundle in bundles if args.details else ():
        for line in measured_lines(bundle.manifest.get("measured", {})):
            sys.stdout.write(f"\n{bundle.name}: {line}")
    sys.stdout.write("\n" if args.details else "\nMore: prehend models --details, or --json for the whole manifests.\n")
    return 0


def measured_lines(measured: Any, prefix: str = "") -> list[str]:
    """What a manifest says was measured, one line a figure: nested names joined by blanks."""
    if not isinstance(measured, dict):
        value = f"{measured:g}" if isinstance(measured, float) else str(measured)
        return [f"{prefix} {value}".strip()]
    return [line for name, value in measured.items() for line in measured_lines(value, f"{prefix} {name}".strip())]


def accuracy(measured: Mapping[str, Any]) -> str:
    """The figures that say most of what a manifest holds, in a line; a dash where it has none."""
    if "joint_error_mm" in measured:
        aligned = measured.get("aligned_joint_error_mm")
        return f"joints {measured['joint_error_mm']:.1f} mm off" + (f", {aligned:.1f} aligned" if aligned else "")
    if "prior" in measured:
        return _of_prior(next(iter(measured["prior"].values())))
    photographs = measured.get("photographs", {}).get("detect", {})
    sets = [one for one in photographs.values() if isinstance(one, dict)]
    found = [100 * one["found"] for one in sets if "found" in one]
    if not found:
        return "-"
    false = [100 * one.get("false", 0.0) for one in sets]
    return (
        f"by set of photographs finds {min(found):.0f} to {max(found):.0f} % of the hands, "
        f"false hands on {min(false):.0f} to {max(false):.0f} %"
    )


def _of_prior(measured: Mapping[str, Any]) -> str:
    cut, fitted = measured["completed"], measured["fitted"]
    return f"cut fingers {cut['best_of_8_mm']:.1f} mm off, best of 8; fits to joints {fitted['space_joints_mm']:.1f} mm"


def _row(bundle: "Bundle") -> tuple[str, ...]:
    size = sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file())
    purpose = next((text for stage, text in _PURPOSE.items() if stage in bundle.stages), "unknown")
    return (
        bundle.name,
        purpose,
        f"{size / 1e6:.1f} MB",
        f"{bundle.manifest.get('parameters', 0) / 1e6:.1f} M",
        str(bundle.manifest.get("licence", "unknown")),
        accuracy(bundle.manifest.get("measured", {})),
    )
