"""Overlays as files: an image for an image, an .mp4 for everything that moves."""

from pathlib import Path, PurePosixPath
from types import TracebackType

import cv2

from prehend.errors import OutputError
from prehend.files import is_special, reason, replace_file
from prehend.io.films.writing import VideoWriter
from prehend.io.frames import Frame, Source
from prehend.io.pixels.images import Image

_DEFAULT_FPS = 30.0
_JPEG_QUALITY = 94
_WRITTEN_AS = {
    **dict.fromkeys(("", ".gif", ".pbm", ".pgm", ".pnm", ".ppm", ".tif", ".tiff"), ".png"),
    **dict.fromkeys((".avif", ".jfif", ".jpe"), ".jpg"),
}
"""Formats few viewers show, or that lose colours, are written as another."""
_KNOWN = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


class OverlayFolder:
    """Writes overlays below a folder, under the names of their sources; nothing is written twice.

    Attributes:
        root: the folder, made when the first image comes.
        written: files so far.
        note: a line for a person, empty where there is nothing to say.
    """

    def __init__(self, root: Path):
        self.root = root
        self.written: list[Path] = []
        self.note = ""
        self._video: VideoWriter | None = None
        self._source: Source | None = None

    def write(self, source: Source, frame: Frame, picture: Image) -> None:
        """Add the overlay of a frame; frames of one video have to come one after the other.

        Raises:
            OutputError: the file cannot be written.
        """
        if source is not self._source:
            self._finish_video()
            self._source = source
        if source.kind in ("image", "folder"):
            self._write_image(frame, picture)
            return
        if self._video is None:
            name = PurePosixPath(source.name.replace("\\", "/").rstrip("/")).name
            self._video = VideoWriter(self._free(f"{Path(name).stem}.mp4"), source.fps or _DEFAULT_FPS)
        self._video.write(picture, frame.stamp)

    def close(self) -> None:
        """Finish what is open."""
        self._finish_video()

    def __enter__(self) -> "OverlayFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_image(self, frame: Frame, picture: Image) -> None:
        name = PurePosixPath(frame.source.replace("\\", "/"))
        # a path from elsewhere keeps only what lies below the folder it was given with
        inside = name.name if name.is_absolute() or ".." in name.parts else str(name)
        suffix = name.suffix.lower()
        known = name.suffix if suffix in _KNOWN else _WRITTEN_AS.get(suffix, f"{name.suffix}.png")
        path = self._free(str(PurePosixPath(inside).with_suffix(known)))
        replace_file(path, _encoded(path, picture), durable=False)
        self.written.append(path)

    def _free(self, name: str) -> Path:
        """A path below the root which this run has not written yet."""
        path = first = self.root / name
        number = 2
        while path in self.written:
            path = first.with_name(f"{first.stem}_{number}{first.suffix}")
            number += 1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() or is_special(path):
                raise OutputError(f"{path} cannot be written: it is no file")
        except OSError as error:
            raise OutputError(f"{path.parent} cannot be made: {reason(error)}") from error
        return path

    def _finish_video(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.close()
            if video.codec:
                self.written.append(video.path)
                if not video.plays_in_browsers:
                    self.note = "browsers do not play these videos (MPEG-4 part 2): pip install 'prehend-hands[video]'"


def _encoded(path: Path, picture: Image) -> bytes:
    """An image as the bytes of a file of this suffix: OpenCV never sees the name, which need not be UTF-8."""
    suffix = path.suffix.lower()
    # OpenCV complains on the terminal of options that are another format's
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:  # such as a side too long for WebP
        raise OutputError(f"{path} cannot be written: {error.err}") from error
    if not done:
        raise OutputError(f"{path} cannot be written as {path.suffix}")
    return bytes(data)
