"""Arguments of the commands."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

WRONG_USE = 2


class OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong, and where the help is."""

    def error(self, message: str) -> NoReturn:
        """Leave with the exit code for wrong use."""
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        raise SystemExit(WRONG_USE)


class Parser(OneLineParser):
    """Of a verb of `prehend`; takes no abbreviations."""

    def __init__(self, prog: str, description: str, epilog: str | None = None):
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )


def number_between(low: float, high: float) -> Callable[[str], float]:
    """Type of an argument: a number strictly between two others."""

    def parse(text: str) -> float:
        value = float(text)
        if not low < value < high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    parse.__name__ = "number"  # argparse names it where the text is none
    return parse


def number_from(low: float, high: float) -> Callable[[str], float]:
    """Type of an argument: a number from one to another, both included."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    parse.__name__ = "number"
    return parse


def count_from(low: int, high: int | None = None) -> Callable[[str], int]:
    """Type of an argument: a whole number that is not below another, nor above a second one."""

    def parse(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"{text} is below {low}")
        if high is not None and value > high:
            raise argparse.ArgumentTypeError(f"{text} is above {high}")
        return value

    parse.__name__ = "whole number"
    return parse
