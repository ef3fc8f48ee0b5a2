"""Names of files that foreign libraries take as names of files."""

import tempfile
from pathlib import Path


class PlainName:
    """A name that C libraries take as a file's: absolute, and a link where they would read more into it.

    FFmpeg takes "clip:1.mp4" for a protocol, OpenCV "%03d" for a sequence of images, SQLite "?" for options, and a name
    that is not UTF-8 ends the process. The link lies in a folder of its own until `close`.
    """

    def __init__(self, path: Path):
        self.name = str(path.absolute())
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not is_plain(self.name):
            self._folder = tempfile.TemporaryDirectory(prefix="prehend-")
            link = Path(self._folder.name) / f"file{path.suffix if is_plain(path.suffix) else ''}"
            link.symlink_to(self.name)
            self.name = str(link)

    def close(self) -> None:
        """Take the link away."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def is_plain(name: str) -> bool:
    """Whether a name is UTF-8 and has none of the characters that start something in a URL or a pattern."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not any(character in name for character in "%?#*|")
