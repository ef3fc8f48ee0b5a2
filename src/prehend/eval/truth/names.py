"""Entries that belong to images by their names: whole path components from the end."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class ByName(Generic[T]):
    """Entries by name. One fits an image when the names are equal or one ends with the other, the longest first.

    "ge/1.jpg" fits "images/ge/1.jpg", and the other way round; where several fit equally well none is meant.
    """

    def __init__(self, entries: Iterable[tuple[str, T]]):
        self._whole: dict[tuple[str, ...], T] = {}
        self._tails: dict[tuple[str, ...], list[T]] = {}
        for name, entry in entries:
            parts = parts_of(name)
            self._whole[parts] = entry
            for start in range(len(parts)):
                self._tails.setdefault(parts[start:], []).append(entry)

    def __len__(self) -> int:
        return len(self._whole)

    @property
    def names(self) -> list[str]:
        """Of all entries."""
        return ["/".join(parts) for parts in self._whole]

    def find(self, name: str) -> T | None:
        """The entry of a name, None where none fits or several do."""
        parts = parts_of(name)
        if parts in self._whole:
            return self._whole[parts]
        for start in range(1, len(parts)):
            if parts[start:] in self._whole:
                return self._whole[parts[start:]]
        fitting = self._tails.get(parts, [])
        return fitting[0] if len(fitting) == 1 else None


def parts_of(name: str) -> tuple[str, ...]:
    """Components of a path, of either kind of slash."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", ".")) or ("",)
