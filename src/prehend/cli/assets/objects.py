"""`prehend objects`: the objects whose pose can be told, and meshes of one's own among them."""

import argparse
import sys
from pathlib import Path

from prehend.cli.arguments.parsing import Parser

_DESCRIPTION = """List the objects whose pose can be told, or add one of your own from its mesh.

  prehend objects list
  prehend objects import mug.stl --unit mm --out my_objects
  PREHEND_OBJECTS=my_objects prehend run video.mp4 --object mug"""

_IMPORT = """Add an object from its mesh (obj, ply, stl, glb): its size is what a pose needs.

The object's frame gets the mesh's axes and lies in the middle of its box. Left hands are seen in the mirror: an object
that is its own mirror image should be so across y = 0."""

_AXES = ("x", "y", "z")


def run(argv: list[str]) -> int:
    """List or import; returns the exit code."""
    parser = Parser("prehend objects", _DESCRIPTION)
    parser.add_argument("action", choices=("list", "import"), help="see prehend objects ACTION --help")
    if not argv or argv[0] not in ("list", "import"):
        parser.parse_args(argv)
    return {"list": _list, "import": _import}[argv[0]](argv[1:])


def _list(argv: list[str]) -> int:
    parser = Parser("prehend objects list", "The objects of the catalogue and of the folders in PREHEND_OBJECTS.")
    parser.parse_args(argv)

    from prehend.object_catalogue import catalogue_folders, load_objects

    rows = [("id", "name", "size [cm]", "looks the same after")]
    for model in load_objects().values():
        size = " x ".join(f"{100 * side:.1f}" for side in model.extents_m)
        turns = [f"half a turn about {axis}" for axis in model.symmetry.half_turns]
        turns += [f"any turn about {model.symmetry.continuous}"] if model.symmetry.continuous else []
        rows.append((model.object_id, model.name, size, ", ".join(turns) or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")
    sys.stdout.write("\n" + "".join(f"from {folder}\n" for folder in catalogue_folders()))
    return 0


def _import(argv: list[str]) -> int:
    args = _import_parser().parse_args(argv)

    from prehend.object_catalogue import Symmetry, own_folders
    from prehend.object_meshes import object_of_mesh, write_description

    symmetry = Symmetry(tuple(args.half_turn), args.any_turn)
    found = object_of_mesh(args.mesh, args.id, args.unit, args.name, symmetry)
    own = own_folders()
    if args.to is not None:
        sys.stderr.write("prehend objects import: --to goes with the next version: it is --out now\n")
    folder = args.out or args.to or (own[0] if own else Path("objects"))
    path = write_description(found.model, folder, args.replace)
    size = " x ".join(f"{100 * side:.2f}" for side in found.model.extents_m)
    origin = ", ".join(f"{1000 * value:.1f}" for value in found.origin_m)
    guessed = " (guessed: say --unit if it is wrong)" if found.guessed else ""
    sys.stdout.write(
        f"{path}\n"
        f"  object {found.model.object_id}, {found.triangles} triangles in {found.unit}{guessed}\n"
        f"  {size} cm along x, y, z; its frame lies at {origin} mm of the mesh\n"
    )
    if folder.resolve() not in [each.resolve() for each in own]:
        sys.stdout.write(f"  to use it: export PREHEND_OBJECTS={folder.resolve()}\n")
    return 0


def _import_parser() -> argparse.ArgumentParser:
    parser = Parser("prehend objects import", _IMPORT)
    parser.add_argument("mesh", type=Path, metavar="MESH", help="obj, ply, stl or glb file")
    parser.add_argument("--id", metavar="ID", help="its name for --object (default: the file's)")
    parser.add_argument("--name", metavar="TEXT", help="its name for people (default: the id)")
    parser.add_argument(
        "--unit",
        choices=("m", "cm", "mm", "in"),
        help="of the mesh (default: the only one that makes it 1 to 50 cm long)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="(default: the first of PREHEND_OBJECTS, else objects)"
    )
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "--half-turn",
        action="append",
        default=[],
        choices=_AXES,
        help="half a turn about it changes nothing; repeatable",
    )
    parser.add_argument("--any-turn", choices=_AXES, help="no turn about it changes anything")
    parser.add_argument("--replace", action="store_true", help="write over a description of this id in the folder")
    return parser
