"""`prehend files`: where the clip, the node's parameters, the launch file and the examples lie."""

import sys

from prehend.cli.arguments.parsing import Parser


def run(argv: list[str]) -> int:
    """Write the paths; returns the exit code."""
    parser = Parser(
        "prehend files",
        "Tell where the files lie that come with the package: a demo clip, the node's parameters, layouts of RViz and\n"
        "Foxglove, the launch file, examples.",
        'prehend run "$(prehend files hands.mp4)" --overlay pictures',
    )
    parser.add_argument("name", nargs="?", help="write the path of this file alone")
    args = parser.parse_args(argv)

    from prehend.resources import resource, resources

    found = [resource(args.name)] if args.name else resources().values()
    sys.stdout.write("".join(f"{path}\n" for path in found))
    return 0
