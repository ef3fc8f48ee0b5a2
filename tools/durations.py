"""Seconds of every test function, from a JUnit report: `python tools/durations.py out/tests.xml test/durations.json`.

Only what takes a tenth of a second or longer is kept; parameters of one function are added up.
"""

import argparse
import json
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

LEAST_S = 0.1


def durations(report: Path) -> dict[str, float]:
    """Seconds by file and function, the longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for case in ET.parse(report).iter("testcase"):
        # the class name is the dotted path of the file, then of the classes in it
        file = next(part for part in reversed(case.get("classname", "").split(".")) if part.startswith("test_"))
        seconds[f"{file}.py::{case.get('name', '').partition('[')[0]}"] += float(case.get("time", 0))
    longest_first = sorted(seconds.items(), key=lambda item: -item[1])
    return {name: round(spent, 1) for name, spent in longest_first if spent >= LEAST_S}


def main() -> None:
    """Write the file and say what all of it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    found = durations(options.report)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{options.out}: {len(found)} functions, {sum(found.values()):.0f} s")


if __name__ == "__main__":
    main()
