"""The verbs of `prehend-train` that make and look at data: scenes, show, stats, objects, grasps."""

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.cli.arguments.parsing import count_from
from prehend.errors import InvalidInput
from prehend_training.cli.parsing.options import add_engine, add_verb, engine_of, keep_old_option, named_preset

if TYPE_CHECKING:
    from prehend_training.engine.scenes import SceneConfig

_UNITS = ("m", "cm", "mm", "in")
_LABELS = "skeleton,objects,words"

logger = logging.getLogger(__name__)


def add_scene_verbs(verbs: Any) -> None:
    """Add the verbs of this module."""
    _add_scenes(verbs)
    _add_show(verbs)
    stats = add_verb(verbs, "stats", _stats, "plots and stats.json of what a folder of shards holds")
    stats.add_argument("data", type=Path, help="folder of shards")
    stats.add_argument("--out", type=Path, required=True, help="folder of the plots")
    stats.add_argument("--limit", type=count_from(1), help="largest number of images, spread over the folder")
    _add_objects(verbs)
    grasps = add_verb(verbs, "grasps", _grasps, "search grasps of catalogue objects and write them as a library")
    grasps.add_argument("--object", action="append", metavar="ID", help="object, may be repeated (all)")
    grasps.add_argument("--count", type=count_from(1), default=100, help="valid grasps of each object (100)")
    grasps.add_argument("--seed", type=count_from(0), default=0, help="of the search (0)")
    grasps.add_argument("--out", type=Path, required=True, help="folder of the library")


def _add_scenes(verbs: Any) -> None:
    scenes = add_verb(verbs, "scenes", _scenes, "render scenes into a folder of shards; goes on where it stopped")
    scenes.add_argument(
        "--kind",
        choices=("crops", "frames", "views", "sequences"),
        required=True,
        help="crops of a hand; whole frames; instants seen by all cameras of a rig; sequences of one camera at 30 Hz",
    )
    scenes.add_argument("--count", type=int, default=0, help="number of crops, frames, instants or sequences")
    scenes.add_argument(
        "--seed", type=count_from(0), default=0, help="the images depend on it and their number alone (0)"
    )
    scenes.add_argument("--out", type=Path, help="folder of the shards; for several machines one that all see")
    scenes.add_argument(
        "--size", type=count_from(16), metavar="PX", help="width in pixels (160 for crops, 320 for the others)"
    )
    scenes.add_argument(
        "--maps",
        choices=("all", "twin", "none"),
        default="twin",
        help="labels of every pixel beside the segmentation: all; the de-occluded twin and the hands' outlines (the "
        "default); none",
    )
    scenes.add_argument(
        "--format", choices=("jpg", "png", "webp"), default="jpg", help="of pictures (jpg); png loses nothing"
    )
    scenes.add_argument("--quality", type=int, default=95, help="of jpg and webp (95)")
    scenes.add_argument("--photos", type=Path, help="folder with photographs for backgrounds")
    scenes.add_argument(
        "--asset-split",
        choices=("all", "training", "held-out"),
        default="all",
        help="objects and skins that may appear: those of training and those held out share none (all)",
    )
    keep_old_option(scenes, "--stock", "--asset-split", choices=("all", "training", "held-out"))
    scenes.add_argument("--shard-size", type=int, metavar="N", help="scenes a shard (ten to thirty seconds of work)")
    add_engine(scenes, processes=1)
    scenes.add_argument("--time", action="store_true", help="write nothing: print how long each part of a sample takes")


def _add_show(verbs: Any) -> None:
    show = add_verb(verbs, "show", _show, "a contact sheet of a folder, with its labels drawn over the images")
    show.add_argument("data", metavar="DATA", help="folder of shards, or photos:LABELS[:SPLIT]")
    show.add_argument("--out", type=Path, required=True, help="image to write (.png or .jpg)")
    show.add_argument("--count", type=count_from(1), help="images (24), or rows of --view-groups and sequences (4)")
    show.add_argument("--columns", type=count_from(1), help="images in a row (6)")
    show.add_argument(
        "--first", type=count_from(0), default=0, help="number of the first image, or of the first row (0)"
    )
    show.add_argument("--scale", type=count_from(1), default=2, help="enlargement (2)")
    show.add_argument(
        "--labels",
        default=_LABELS,
        help="what to draw, separated by commas. Over the image: skeleton, mesh, boxes, masks (amodal outlines), "
        "objects (axes and box), parts (visible share of each finger and the palm), words. Beside it: plain, twin, "
        "segmentation, depth, sensor, normals, albedo. Or: none (skeleton,objects,words)",
    )
    show.add_argument("--view-groups", action="store_true", help="a row for each instant, all its cameras side by side")
    show.add_argument(
        "--preset", help="show instead what the network of a preset gets: changed images with their targets"
    )
    show.add_argument("--plain", action="store_true", help="with --preset: crops without changes")


def _add_objects(verbs: Any) -> None:
    objects = verbs.add_parser("objects", help="list the catalogue, or add a mesh of your own")
    actions = objects.add_subparsers(dest="action", required=True)
    listing = add_verb(actions, "list", _list_objects, "the objects of the catalogue with their sizes")
    listing.add_argument("--folder", type=Path, help="of object descriptions, in place of the shipped catalogue")
    importing = add_verb(actions, "import", _import_object, "check a mesh (obj, ply, stl, glb) and add it as an object")
    importing.add_argument("path", type=Path, metavar="PATH", help="the mesh")
    importing.add_argument("--id", required=True, help="name of the object: lower case letters, digits, _")
    importing.add_argument("--name", help="for people (the id)")
    importing.add_argument("--unit", choices=_UNITS, help="of the mesh (the only one that makes it 1 to 50 cm long)")
    keep_old_option(importing, "--units", "--unit", choices=_UNITS)
    importing.add_argument(
        "--symmetric", action="store_true", help="look for turns that change nothing, and declare them"
    )
    importing.add_argument("--out", type=Path, required=True, help="folder of object descriptions")


def _scenes(arguments: argparse.Namespace) -> None:
    from prehend_training.engine.scenes import SIZES_PX, SceneConfig, write_scenes
    from prehend_training.storage.codec import Packing

    size = arguments.size or SIZES_PX[arguments.kind]
    packing = Packing(arguments.maps, arguments.format, arguments.quality)
    config = SceneConfig(arguments.kind, arguments.seed, size, packing, arguments.photos, arguments.asset_split)
    if arguments.time:
        if arguments.kind != "crops" or arguments.count < 0:
            raise InvalidInput(
                "--time draws --count crops (50) with every map: give --kind crops, and no negative number"
            )
        _print_times(config, arguments.count or 50)
        return
    if arguments.out is None:
        raise InvalidInput("--out is missing: the folder of the shards")
    write_scenes(arguments.out, config, arguments.count, engine_of(arguments), arguments.shard_size)


def _print_times(config: "SceneConfig", count: int) -> None:
    """A table of the parts of a crop with every map."""
    from prehend_training.engine.local import one_thread
    from prehend_training.scenes.render.render import SceneRenderer
    from prehend_training.scenes.render.timing import time_parts

    with one_thread():
        table = time_parts(SceneRenderer(config.photos), count, config.size_px, config.seed)
    for part, spent_ms in table.items():
        sys.stdout.write(f"{part:<14} {spent_ms:8.2f} ms\n")
    sys.stdout.write(f"{'on one core':<14} {1000 / table['whole']:8.1f} samples/s of processor time\n")


def _show(arguments: argparse.Namespace) -> None:
    from prehend_training.cli.parsing.data import PHOTOS, photos
    from prehend_training.inspect.batches import batch_sheet, folder_sheet, photo_sheet, write_picture

    columns = arguments.columns or 6
    data = photos(arguments.data) if arguments.data.startswith(PHOTOS) else [Path(arguments.data)]
    labels = () if arguments.labels == "none" else tuple(arguments.labels.split(","))
    if arguments.preset is not None:
        told = (arguments.first, arguments.scale, arguments.labels, arguments.view_groups)
        if told != (0, 2, _LABELS, False):
            raise InvalidInput("--first, --scale, --labels and --view-groups have no effect with --preset: drop them")
        count = arguments.count or 24
        sheet = batch_sheet(named_preset(arguments.preset), data, count, columns, not arguments.plain)
    elif arguments.plain:
        raise InvalidInput("--plain goes with --preset")
    elif not isinstance(data, list):
        sheet = photo_sheet(data, labels, arguments.count, arguments.columns, arguments.first, arguments.scale)
    else:
        sheet = folder_sheet(
            data[0], labels, arguments.count, arguments.columns, arguments.first, arguments.scale,
            arguments.view_groups,
        )  # fmt: skip
    write_picture(arguments.out, sheet)


def _stats(arguments: argparse.Namespace) -> None:
    from prehend_training.inspect.plots import write_stats

    for path in write_stats(arguments.data, arguments.out, arguments.limit):
        sys.stdout.write(f"{path}\n")


def _list_objects(arguments: argparse.Namespace) -> None:
    from prehend_training.objects import catalogue

    solids = catalogue() if arguments.folder is None else catalogue(arguments.folder)
    for solid in solids.values():
        width, depth, height = 1000 * solid.extents_m
        sys.stdout.write(f"{solid.object_id:<20} {width:6.0f} x {depth:4.0f} x {height:4.0f} mm  {solid.name}\n")


def _import_object(arguments: argparse.Namespace) -> None:
    from prehend_training.objects.importer import guess_symmetry, import_mesh, write_object

    given = {"object_id": arguments.id, "units": arguments.unit, "name": arguments.name}
    solid = import_mesh(arguments.path, **given)
    if arguments.symmetric:
        solid = import_mesh(arguments.path, **given, symmetry=guess_symmetry(solid))
    sys.stdout.write(f"{write_object(solid, arguments.out)}\n")


def _grasps(arguments: argparse.Namespace) -> None:
    from prehend_training.grasps.search.build import build_library
    from prehend_training.grasps.search.fresh import build_pool
    from prehend_training.objects import catalogue

    rates = build_library(
        arguments.object or list(catalogue()), arguments.count, arguments.seed, arguments.out, logger.info
    )
    if arguments.object is None:
        build_pool(arguments.out)
    sys.stdout.write(json.dumps(rates, indent=1) + "\n")
