"""`prehend export`: engines of the weights, for one machine."""

import argparse
import sys
from typing import TYPE_CHECKING

from prehend.cli.arguments.options import add_engine_options
from prehend.cli.arguments.parsing import Parser

if TYPE_CHECKING:
    from prehend.export.engine import Exported

_DESCRIPTION = """Make engines of weights for this machine, measure them against torch, and write down what they are.

tensorrt  a plan for this GPU and this TensorRT, batches of 1 to 16; minutes
onnx      complete ONNX graphs, in float16 or int8 where asked
torch     nothing is built: the measurement that a precision below float32 wants

`prehend run` and the node find them in the same folder: --backend NAME, --provider, --precision. The right one is
left as it is. Beside the files lies engine.json: the SHA-256 of graph and weights, versions, GPU, the precision asked
for and found in each layer, and the distance of the joints from torch's in millimetres. The weights themselves come
from prehend-train export."""


def run(argv: list[str]) -> int:
    """Make the engines; returns the exit code."""
    parser = Parser("prehend export", _DESCRIPTION)
    parser.add_argument(
        "weights", nargs="*", metavar="WEIGHTS", help="names or folders (default: unihope-s and palm; int8: unihope-s)"
    )
    parser.add_argument("--engine", required=True, metavar="NAME", help="tensorrt, onnx or torch")
    add_engine_options(parser)
    parser.add_argument("--force", action="store_true", help="make it anew although the right one is there")
    args = parser.parse_args(argv)
    settings_given = {
        name: value
        for name in ("provider", "precision", "compiled", "engine_dir")
        if (value := getattr(args, name)) is not None
    }

    from prehend.backends import BACKENDS
    from prehend.backends.settings import BackendSettings
    from prehend.errors import MissingDependency, UnknownName
    from prehend.pipeline.options import option_default
    from prehend.weights import load_bundle

    if args.engine not in BACKENDS:
        raise UnknownName("engine", args.engine, BACKENDS)
    settings = BackendSettings(**settings_given)
    try:
        from prehend.export.engine import export_engine
    except ModuleNotFoundError as error:
        raise MissingDependency(error.name or "torch", "export", "prehend export") from error
    names = args.weights or [option_default("model"), *([option_default("detector")] * (settings.precision != "int8"))]
    for bundle in [load_bundle(name) for name in names]:
        _tell(args, bundle.name, export_engine(bundle, args.engine, settings, force=args.force))
    return 0


def _tell(args: argparse.Namespace, name: str, exported: "Exported") -> None:
    parity, found = exported.manifest["parity"], exported.manifest["precision_found"]
    kinds = [kind for layers in found.values() for kind in layers.values()]
    counted = ", ".join(f"{kinds.count(kind)} layers {kind}" for kind in sorted(set(kinds)))
    sys.stdout.write(
        f"{exported.folder}: {'made' if exported.made else 'was there'}; {name} on {args.engine}, {counted}; joints at "
        f"most {parity['joints_mm']:g} mm from torch's, {parity['joints_mean_mm']:g} mm in the mean\n"
    )
