"""What the verbs of `prehend-train` have in common."""

import argparse
from collections.abc import Callable
from typing import Any


def add_verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    """A parser of `verbs` for one verb, which calls `run`."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(run=run)
    return parser
