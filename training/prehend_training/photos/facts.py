"""What is known about whole folders of photographs: where they come from, and labels that hold for all of them."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from prehend.conventions import Side
from prehend.errors import InvalidInput, SourceError, one_line

SCHEMA = "prehend.photo_sources/1"
PUBLIC = "public"
"""Name of the list that ships with this package."""
Split = Literal["train", "validation"]
VALIDATION_SHARE = 0.12
"""Of the sessions, where none are named."""


@dataclass(frozen=True)
class Facts:
    """What holds for all images whose path begins with `prefix`.

    Attributes:
        prefix: a folder, or a folder and the beginning of names.
        title, repository, licence: where they come from, for manifests.
        side: of every hand; None where it differs.
        held: whether every hand holds something; None where it is not known.
        hands: 0 or 1 where every image has so many; None where it differs.
        unlike: names (without suffix) of images in which it is the other way: a hand where `hands` is 0, none where
            it is 1; found by looking.
        every_box: the file of boxes has every hand of these images.
        small_hands: hands may be too small to be found in the whole image: where none are, look at tiles.
        max_saturation: median saturation (HSV, 0 to 255) at the joints above which an answer is no hand: where an
            object of a strong colour is taken for one again and again.
        session: regular expression; its groups in a file's name are the session. Empty: the folder is one.
        block: images with numbers in the last group that fall into the same block are one session; 0 for none.
        validation: sessions that are for validation; empty: a share of all, by their names.
    """

    prefix: str = ""
    title: str = "own photographs"
    repository: str = ""
    licence: str = "not stated"
    side: Side | None = None
    held: bool | None = None
    hands: int | None = None
    unlike: tuple[str, ...] = ()
    every_box: bool = False
    small_hands: bool = False
    max_saturation: int = 255
    session: str = ""
    block: int = 0
    validation: tuple[str, ...] = field(default=())

    def session_of(self, path: str) -> str:
        """Name of the session of an image: images of one session may look alike."""
        name = path.rpartition("/")[2]
        match = re.search(self.session, name) if self.session else None
        groups = [group for group in match.groups() if group] if match else []
        if groups and self.block:
            groups[-1] = str(int(groups[-1]) // self.block)
        return "_".join(groups)

    def split_of(self, path: str) -> Split:
        """Whether an image is for training or for validation, the same for a session."""
        session = self.session_of(path)
        if self.validation:
            return "validation" if session in self.validation else "train"
        if not self.session:
            return "train"
        digest = hashlib.sha256(f"{self.prefix}:{session}".encode()).digest()
        return "validation" if digest[0] < 256 * VALIDATION_SHARE else "train"

    def source(self) -> dict[str, Any]:
        """For the file of labels and for manifests."""
        return {name: asdict(self)[name] for name in ("prefix", "title", "repository", "licence")}


def facts_for(path: str, known: Mapping[str, Facts]) -> Facts:
    """The facts with the longest prefix that fits a path relative to the folder of photographs."""
    fitting = [
        prefix for prefix in known if path.startswith(prefix + "/") or ("/" in prefix and path.startswith(prefix))
    ]
    facts = known[max(fitting, key=len)] if fitting else Facts()
    if PurePosixPath(path).stem in facts.unlike:
        return replace(facts, hands=None if facts.hands is None else 1 - facts.hands, side=None, held=None)
    return facts


def read_facts(path: str | Path | None) -> dict[str, Facts]:
    """A list of sources by prefix.

    Args:
        path: a YAML file, `PUBLIC` for the one that ships, None for nothing known.

    Raises:
        SourceError: the file cannot be read or is no list of sources.
    """
    if path is None:
        return {}
    try:
        text = files(__package__).joinpath("sources.yaml").read_text() if path == PUBLIC else Path(path).read_text()
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SourceError(f"{path}: no list of sources can be read from it ({one_line(error)})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or not isinstance(content.get("sources"), dict):
        raise SourceError(f"{path}: expected a YAML mapping with schema: {SCHEMA} and sources: PREFIX: ...")
    return {prefix: _facts(str(prefix), entry, path) for prefix, entry in content["sources"].items()}


def _facts(prefix: str, entry: Any, path: str | Path) -> Facts:
    names = {item.name for item in fields(Facts)} - {"prefix"}
    if not isinstance(entry, dict) or not set(entry) <= names:
        raise SourceError(f"{path}: '{prefix}' may say {', '.join(sorted(names))}, nothing else")
    values = {**entry, **{name: tuple(map(str, entry.get(name, ()))) for name in ("validation", "unlike")}}
    try:
        re.compile(values.get("session", ""))
    except re.error as error:
        raise InvalidInput(f"{path}: session of '{prefix}' is no regular expression: {error}") from error
    return Facts(prefix=prefix, **values)
