"""Films that browsers play, through PyAV (FFmpeg): every image at its own time, and readable while they are written."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prehend.errors import OutputError
from prehend.io.pixels.images import Image

if TYPE_CHECKING:
    from av.packet import Packet

CODECS = ("libx264", "libopenh264", "libvpx-vp9")
"""H.264 plays everywhere, VP9 in every browser; builds without the first have the last."""
_NAMES = {"libx264": "h264", "libopenh264": "h264", "libvpx-vp9": "vp9"}
_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "20", "tune": "zerolatency"},  # nothing is held back for later
    "libopenh264": {},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "28", "b": "0", "lag-in-frames": "0"},
}
_CONTAINER = {
    # ISO 14496-12 fragments of a second; a finished film is turned into a plain one, with its index
    "movflags": "hybrid_fragmented+frag_keyframe+default_base_moof",
    "frag_duration": "1000000",
    "video_track_timescale": "90000",
}
_TICKS = 90_000
_BT601 = 6
"""Colours as FFmpeg converts them unasked, said in the file (ITU-T H.273)."""


class AvFilm:
    """An .mp4 file of RGB images of one size.

    Killed at any moment, all but about the last second of it can be played.

    Attributes:
        count: images in the file.
        codec: "h264" or "vp9".

    Args:
        path: of the file; a plain name.
        fps: about how many images come a second; the last one is shown as long.
        size: width and height, even [px].
        shown: what errors call the file.

    Raises:
        OutputError: no encoder, or the file cannot be opened.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int], shown: Path) -> None:
        import av

        self._av, self._shown = av, shown
        name = next((one for one in CODECS if one in av.codecs_available), None)
        if name is None:
            raise OutputError(f"{shown}: this PyAV encodes neither H.264 nor VP9")
        self.codec = _NAMES[name]
        self._last = max(1, round(_TICKS / fps))
        try:
            self._film = av.open(str(path), "w", format="mp4", options=_CONTAINER)
            # several kinds of streams have one method
            stream: Any = self._film.add_stream(
                name, rate=Fraction(fps).limit_denominator(1000), options=dict(_OPTIONS[name])
            )
        except (OSError, ValueError) as error:
            raise OutputError(f"{shown} cannot be written: {_line(error)}") from error
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, _TICKS)
        context.gop_size = max(1, round(fps))
        context.max_b_frames = 0
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        self._stream, self.count = stream, 0

    def put(self, image_rgb: Image, time_s: float) -> None:
        """Add an image.

        Args:
            image_rgb: (H, W, 3) of the film's size.
            time_s: in the film, later than the one before [s].

        Raises:
            OutputError: the file cannot be written.
        """
        frame = self._av.VideoFrame.from_ndarray(image_rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(time_s * _TICKS), Fraction(1, _TICKS)
        self._mux(self._encoded(frame))
        self.count += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            OutputError: it cannot be finished.
        """
        try:
            self._mux(self._encoded(None))
        finally:
            try:
                self._film.close()
            except (OSError, ValueError) as error:
                raise OutputError(f"{self._shown} cannot be written: {_line(error)}") from error

    def _encoded(self, frame: Any) -> "list[Packet]":
        try:
            return list(self._stream.encode(frame))
        except (OSError, ValueError) as error:
            raise OutputError(f"{self._shown} cannot be encoded: {_line(error)}") from error

    def _mux(self, packets: "list[Packet]") -> None:
        try:
            for packet in packets:
                packet.duration = self._last  # counts for the last one; the others last until the next
                self._film.mux(packet)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self._shown} cannot be written: {_line(error)}") from error


def has_av() -> bool:
    """Whether PyAV is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def _line(error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return " ".join((said or str(error) or type(error).__name__).split()).lower()[:160]
