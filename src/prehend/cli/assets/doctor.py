"""`prehend doctor`: is everything here that is needed, and does it work?"""

import json
import sys

from prehend.cli.arguments.parsing import Parser

_MARK = {"ok": "ok  ", "missing": "-   ", "broken": "FAIL"}


def run(argv: list[str]) -> int:
    """Check and report; returns 1 if something that is needed is broken."""
    parser = Parser(
        "prehend doctor",
        "Check this installation. Lines with '-' are optional things that are not here; exit code 1 means that\n"
        "something needed is broken.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(argv)

    from prehend.cli.assets.doctor_checks import all_checks

    checks = list(all_checks())
    broken = sum(check.status == "broken" for check in checks)
    if args.json:
        sys.stdout.write(json.dumps([check._asdict() for check in checks], indent=2) + "\n")
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            sys.stdout.write(f"{_MARK[check.status]}  {check.name:{width}}  {check.detail}\n")
        sys.stdout.write(f"{broken} broken\n" if broken else "everything needed works\n")
    return 1 if broken else 0
