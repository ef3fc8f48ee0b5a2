"""Seconds of every test function, and which are quick.

From a JUnit report: `python tools/durations.py out/tests.xml test/durations.json`. A report of some tests changes these
alone. Parameters of a function are added up; what takes less than a twentieth of a second is told as 0, so that the
file changes little. Functions that are not there any more are left out.
"""

import argparse
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

QUICK_S = 45.0
"""Seconds of one core for the quick tests: under half a minute of two cores, besides starting and gathering them."""

LEAST_S, NOTHING_S = 0.05, 0.01
"""What takes less than the first is told as 0, and takes the second in the mean (2,799 functions, 28.7 s)."""

TESTS = Path(__file__).parents[1] / "test"


def durations(report: Path) -> dict[str, float]:
    """Seconds by file and function."""
    seconds: dict[str, float] = defaultdict(float)
    for case in ET.parse(report).iter("testcase"):
        if not case.get("classname"):  # a file that was skipped as a whole
            continue
        # the class name is the dotted path of the file, then of the classes in it
        file = next(part for part in reversed(case.get("classname", "").split(".")) if part.startswith("test_"))
        seconds[f"{file}.py::{case.get('name', '').partition('[')[0]}"] += float(case.get("time", 0))
    return {name: round(spent, 2) if spent >= LEAST_S else 0.0 for name, spent in seconds.items()}


def functions(tests: Path) -> set[str]:
    """By file and function, the tests of a folder."""
    return {
        f"{file.name}::{name}"
        for file in tests.rglob("test_*.py")
        for name in re.findall(r"^ *def (test\w*)\(", file.read_text(), re.MULTILINE)
    }


def merged(known: dict[str, float], measured: dict[str, float], there: set[str]) -> dict[str, float]:
    """What is known and what was measured now, of the functions that are there; the longest first."""
    everything = {name: spent for name, spent in {**known, **measured}.items() if name in there}
    return dict(sorted(everything.items(), key=lambda item: (-item[1], item[0])))


def longest_quick(durations_s: Iterable[float], budget_s: float) -> float:
    """The longest time with which a function is quick: all that take no longer fit into the budget [s]."""
    longest, left_s, counts = -1.0, budget_s, Counter(durations_s)
    for seconds in sorted(counts):
        left_s -= max(seconds, NOTHING_S) * counts[seconds]
        if left_s < 0:
            break
        longest = seconds
    return longest


def main() -> None:
    """Write the file and say what all of it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    there, measured = functions(TESTS), durations(options.report)
    found = merged(known, measured, there)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    told = f"{len(measured)} measured, {len(there - found.keys())} never"
    print(f"{options.out}: {len(found)} functions, {sum(found.values()):.0f} s; {told}")


if __name__ == "__main__":
    main()
