"""`prehend hand`: draw hands, complete, reconstruct and fit them with a prior that says what hands look like."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from prehend.cli.arguments.parsing import Parser
from prehend.conventions import FINGERS, SIDES
from prehend.errors import ParameterError

if TYPE_CHECKING:
    from prehend.cli.assets.hand_files import HandInImage
    from prehend.prior.conditions import Conditions
    from prehend.prior.sampler import HandPrior, Hypotheses, Sampling
    from prehend.types import FloatArray

ACTIONS = {
    "generate": "hands as they may be, without anything known",
    "complete": "what a mesh or a skeleton leaves open: fingers that are cut away or not seen",
    "reconstruct": "several hands that may be meant by an image",
    "fit": "a hand to joints in space or in an image, or to a mesh of another hand model",
}
MOST = 256

_DESCRIPTION = """Ask the prior for hands (HHMR: a diffusion on hand meshes): n hands that fit what is known.

{actions}

Each writes into DIR: hands.json (joints, errors, how unsure each joint is), a mesh a hand (.obj), sheet.png and
turntable.mp4."""

_FILE = """FILE is JSON: joints_m, 21 of [x, y, z] in metres, or keypoints_px, 21 of [u, v] in the image, with null
for what is not known; camera (K, width, height) with keypoints_px; side. Hands come back in the same frame."""


def run(argv: list[str]) -> int:
    """Do an action; returns the exit code."""
    width = max(map(len, ACTIONS))
    lines = "\n".join(f"  {name:{width}}  {text}" for name, text in ACTIONS.items())
    parser = Parser("prehend hand", _DESCRIPTION.format(actions=lines))
    parser.add_argument("action", choices=tuple(ACTIONS), help="see prehend hand ACTION --help")
    if not argv or argv[0] not in ACTIONS:
        parser.parse_args(argv)
    return _RUNS[argv[0]](argv[1:])


def _generate(argv: list[str]) -> int:
    parser = _parser("generate", "Draw hands as they may be.")
    parser.add_argument("--side", choices=SIDES, default="right", help="of the hands (right)")
    args = parser.parse_args(argv)

    from prehend.prior.conditions import Conditions

    return _sample(args, Conditions(side=args.side))


def _complete(argv: list[str]) -> int:
    parser = _parser("complete", f"Complete a hand that is known in part.\n\n{_FILE}")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--mesh", type=Path, metavar="FILE", help="obj of our hand model, of which --cut cuts fingers away"
    )
    what.add_argument("--joints", type=Path, metavar="FILE", help="JSON of its joints, null for what is not known")
    parser.add_argument(
        "--cut", metavar="FINGER[,FINGER]", help=f"what of it counts as not known: {', '.join(FINGERS)}"
    )
    parser.add_argument("--side", choices=SIDES, default="right", help="of the hand in --mesh (right)")
    args = parser.parse_args(argv)

    from prehend.cli.assets.hand_files import cut_conditions, read_known, read_own_mesh

    model = _hand_model(args)
    known = read_known(args.joints) if args.mesh is None else read_own_mesh(args.mesh, args.side, model)
    return _sample(args, cut_conditions(known, _fingers(args.cut), model))


def _fit(argv: list[str]) -> int:
    parser = _parser("fit", f"Fit a hand to what is known of its joints, or to a mesh of another model.\n\n{_FILE}")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--joints", type=Path, metavar="FILE", help="JSON of its joints")
    what.add_argument("--mesh", type=Path, metavar="FILE", help="obj of the model of --mesh-model, e.g. your MANO's")
    parser.add_argument("--mesh-model", type=Path, metavar="FILE", help="a MANO .pkl of yours: what --mesh is of")
    parser.add_argument("--side", choices=SIDES, default="right", help="of the hand in --mesh (right)")
    args = parser.parse_args(argv)

    from prehend.cli.assets.hand_files import read_foreign_mesh, read_known

    if args.mesh is None:
        return _sample(args, read_known(args.joints))
    return _sample(args, read_foreign_mesh(args.mesh, args.mesh_model, args.side))


def _reconstruct(argv: list[str]) -> int:
    parser = _parser(
        "reconstruct",
        "Draw hands that may be meant by an image: the crop network finds the joints that are seen and says how sure\n"
        "it is; the prior says what the whole hand may be.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="image with a hand")
    parser.add_argument("--cameras", type=Path, metavar="FILE", help="intrinsics, as for prehend run (assumed)")
    parser.add_argument(
        "--hand", type=int, default=1, metavar="K", help="which hand of the image, the surest first (1)"
    )
    args = parser.parse_args(argv)

    from prehend.cli.assets.hand_files import look_at

    seen = look_at(args.image, args.cameras, args.hand)
    return _sample(args, seen.known, seen)


_RUNS: dict[str, Callable[[list[str]], int]] = {
    "generate": _generate,
    "complete": _complete,
    "reconstruct": _reconstruct,
    "fit": _fit,
}


def _parser(action: str, description: str) -> Parser:
    parser = Parser(f"prehend hand {action}", description)
    parser.add_argument("-n", type=int, default=8, metavar="N", help=f"how many hands, 1 to {MOST} (8)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same hands (0)")
    parser.add_argument("--steps", type=int, default=25, help="of denoising; 10, 25 and 50 are usual (25)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--model", metavar="NAME", help="weights of a prior: name or folder (default: hhmr-xs)")
    parser.add_argument("--hand-model", type=Path, metavar="FILE", help="the hand model of weights of your own")
    return parser


def _fingers(text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    for name in names:
        if name not in FINGERS:
            raise ParameterError(f"--cut {name}: choose of {', '.join(FINGERS)}")
    return names


def _hand_model(args: argparse.Namespace) -> Any:
    from prehend.hand_model.asset import load_hand_model

    return load_hand_model(args.hand_model)


def _sample(args: argparse.Namespace, known: "Conditions", seen: "HandInImage | None" = None) -> int:
    """Ask the prior and write what it says; weights that look at images are shown what was seen."""
    if not 1 <= args.n <= MOST:
        raise ParameterError(f"-n {args.n}: draw 1 to {MOST} hands at once")

    from prehend.cli.assets.hand_files import write_hands
    from prehend.prior import DEFAULT_PRIOR, open_prior

    prior = open_prior(args.model or DEFAULT_PRIOR, args.hand_model)
    crop = seen.crop(prior.crop_size) if seen is not None and prior.crop_size is not None else None
    found, sampling = _drawn(prior, args, known, crop)
    write_hands(args.out, found, known, prior.name, sampling, None if seen is None else seen.image)
    return 0


def _drawn(
    prior: "HandPrior", args: argparse.Namespace, known: "Conditions", crop: "FloatArray | None"
) -> "tuple[Hypotheses, Sampling]":
    from prehend.prior.sampler import Sampling

    sampling = Sampling(steps=args.steps, seed=args.seed)
    with tqdm(total=max(args.steps, 0), unit="step", disable=None) as bar:
        return prior.sample(args.n, known, sampling, crop, on_step=lambda _: bar.update()), sampling
