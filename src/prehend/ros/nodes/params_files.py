"""Whether the parameter files that were given mean this node: ROS takes no notice of those for other names."""

import fnmatch
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from prehend.documents import read_yaml
from prehend.errors import SourceError

_PARAMETERS = "ros__parameters"


def unused_files(args: Sequence[str], node_name: str) -> list[str]:
    """One sentence for each `--params-file` that holds parameters for other nodes only.

    Args:
        args: of the command line.
        node_name: full, such as "/cell/prehend".
    """
    files = [name for flag, name in pairwise(args) if flag == "--params-file"]
    return [text for name in files if (text := _unused(name, node_name))]


def _unused(file: str, node_name: str) -> str:
    try:
        content = read_yaml(Path(file))
    except SourceError:
        return ""  # rcl has told already
    names = _node_names(content, "")
    if not names or any(_means(name, node_name) for name in names):
        return ""
    return f"{file} has parameters for {', '.join(sorted(names)[:3])}, none for {node_name}: they are not used"


def _node_names(content: Any, above: str) -> list[str]:
    """Names that have parameters, with the namespaces they are nested in."""
    if not isinstance(content, dict):
        return []
    names = []
    for key, value in content.items():
        if not isinstance(value, dict):
            continue
        name = f"{above}/{str(key).strip('/')}"
        if _PARAMETERS in value:
            names.append(name)
        names += _node_names({k: v for k, v in value.items() if k != _PARAMETERS}, name)
    return names


def _means(pattern: str, node_name: str) -> bool:
    """Whether a name with ROS's wildcards (`**` any number of parts, `*` one) is that of the node."""
    parts, wanted = pattern.strip("/").split("/"), node_name.strip("/").split("/")
    if len(parts) == 1 and parts[0] not in ("**", "*"):  # a bare name is that of a node in the root namespace
        return parts == wanted
    return _match(parts, wanted)


def _match(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not parts:
        return not wanted
    if parts[0] == "**":
        return any(_match(parts[1:], wanted[n:]) for n in range(len(wanted) + 1))
    return bool(wanted) and fnmatch.fnmatchcase(wanted[0], parts[0]) and _match(parts[1:], wanted[1:])
