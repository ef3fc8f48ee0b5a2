"""`prehend models`: the weights that are here, and what they can do."""

import json
import sys
from typing import TYPE_CHECKING, Any

from prehend.cli.parsing import Parser

if TYPE_CHECKING:
    from prehend.weights import Bundle

_COLUMNS = ("name", "network", "params", "GMAC", "size", "licence", "trained on")


def run(argv: list[str]) -> int:
    """Write the table; returns the exit code."""
    parser = Parser("prehend models", "List the weights that are here: what they are, and what was measured of them.")
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
    for bundle in bundles:
        for line in measured_lines(bundle.manifest.get("measured", {})):
            sys.stdout.write(f"\n{bundle.name}: {line}")
    sys.stdout.write("\n")
    return 0


def measured_lines(measured: Any, prefix: str = "") -> list[str]:
    """What a manifest says was measured, one line a figure: nested names joined by blanks."""
    if not isinstance(measured, dict):
        value = f"{measured:g}" if isinstance(measured, float) else str(measured)
        return [f"{prefix} {value}".strip()]
    return [line for name, value in measured.items() for line in measured_lines(value, f"{prefix} {name}".strip())]


def _row(bundle: "Bundle") -> tuple[str, ...]:
    size = sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file())
    trained_on = bundle.manifest.get("trained_on", "unknown")
    return (
        bundle.name,
        bundle.network,
        f"{bundle.manifest.get('parameters', 0) / 1e6:.1f} M",
        f"{sum(bundle.manifest.get('gmac', {}).values()):.2f}",
        f"{size / 1e6:.1f} MB",
        str(bundle.manifest.get("licence", "unknown")),
        trained_on if isinstance(trained_on, str) else json.dumps(trained_on),
    )
