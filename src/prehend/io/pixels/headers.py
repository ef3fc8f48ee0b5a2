"""What the bytes of an image file say of themselves: kind, size, and whether their end is there.

Headers are read before anything is decoded: decoders believe the size they are told and fill what is missing with grey.
Formats: JPEG (ITU T.81), PNG (W3C), WebP, BMP, GIF89a, TIFF 6.0, Netpbm, and AVIF/HEIF (ISO 23008-12).
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from prehend.documents import disguise
from prehend.errors import InvalidInput

_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ARITHMETIC = frozenset(range(0xC9, 0xD0))
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers without a length."""
_SCAN_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_NETPBM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d{1,9})(?:\s+|#[^\n]*\n)+(\d{1,9})(?:(?:\s+|#[^\n]*\n)+(\d{1,9}))?\s")


HEIC = "HEIC (heif-convert or ImageMagick make JPEG of it; phones save JPEG where told so: 'Most Compatible')"
"""What phones save, named and not read: the wheels that read it bring HEVC codecs under LGPL and GPL, and patents."""


@dataclass(frozen=True)
class Header:
    """What an image file says.

    Attributes:
        kind: "jpeg", "png", "webp", "bmp", "gif", "tiff", "netpbm" or "avif".
        width, height: [px] as stored, 0 where the file does not say it in a place that is read here.
        end: number of bytes that belong to the image; what follows (a film, padding) is no part of it.
        whole: False where its end is missing, None where only decoding can tell (a JPEG without its end marker).
    """

    kind: str
    width: int
    height: int
    end: int
    whole: bool | None = True


def read_header(data: bytes) -> Header | None:
    """The header of an image, None for bytes of no kind that is known here.

    Raises:
        InvalidInput: of a known kind, but damaged or not to be read; the text says how.
    """
    for signature, kind, read in _KINDS:
        if re.match(signature, data, re.DOTALL):
            try:
                return read(kind, data)
            except (struct.error, IndexError):
                return Header(kind, 0, 0, len(data), False)
    return None


def foreign_kind(data: bytes) -> str | None:
    """The name of a kind of file that is often met under an image's name and cannot be read, None for others."""
    if data[4:12] == b"ftypcrx ":
        return "a camera raw (CR3)"
    if re.match(rb"(?:\x89|\xc2\x89|\xef\xbf\xbd)PNG[\r\n]", data) or data.startswith(
        b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
    ):
        return "an image that was changed as text on its way; copy it again as a binary file"
    if data.startswith(b"\x1a\x45\xdf\xa3") or (data.startswith(b"RIFF") and data[8:12] == b"AVI "):
        return "a video"
    if data[4:8] == b"ftyp":
        return HEIC if data[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1") else "a video"
    kinds = (
        (b"<svg", "an SVG"), (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"8BPS", "a Photoshop file"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xffO\xffQ", "JPEG 2000"), (b"v/1\x01", "OpenEXR"),
        (b"II+\0", "a BigTIFF"), (b"MM\0+", "a BigTIFF"), (b"\x93NUMPY", "an array of NumPy"), (b"#?RADIANCE", "HDR"),
    )  # fmt: skip
    return next((name for start, name in kinds if data.startswith(start)), disguise(data))


def _jpeg(kind: str, data: bytes) -> Header:
    """Walk the segments to the end marker (T.81, annex B): it counts only where a marker may stand."""
    place, width, height, blocks, coded = 2, 0, 0, 0, 0
    marker, open_parts = 0, set[tuple[int, int]]()
    while True:
        place = _next_marker(data, place)
        if place < 0:  # within pixels, of the last scan there has to be
            may_be = marker == 0xDA and not open_parts and _could_hold(coded, blocks)
            return Header(kind, width, height, len(data), None if may_be else False)
        marker = data[place + 1]
        place += 2
        if marker == 0xD9:
            return Header(kind, width, height, place, bool(coded) and _could_hold(coded, blocks))
        if marker in _ALONE:
            continue
        (length,) = struct.unpack_from(">H", data, place)
        if length < 2 or place + length > len(data):
            return Header(kind, width, height, len(data), False)
        if marker in _FRAME_HEADERS and not width:
            height, width = struct.unpack_from(">HH", data, place + 3)
            blocks = 0 if marker in _ARITHMETIC else -(-width // 8) * -(-height // 8) // 4
            open_parts = _parts(data, place, progressive=marker in (0xC2, 0xCA))
        if marker == 0xDA:
            _close_parts(open_parts, data, place)
        place += length
        if marker == 0xDA:
            found = _SCAN_MARKER.search(data, place)
            end = found.start() if found else len(data)
            coded += end - place
            place = end


def _parts(data: bytes, place: int, progressive: bool) -> set[tuple[int, int]]:
    """Coefficients (component, number) that the scans of a frame have to bring; of a sequential one the first alone."""
    components = [data[place + 8 + 3 * index] for index in range(data[place + 7])]
    return {(component, number) for component in components for number in range(64 if progressive else 1)}


def _close_parts(parts: set[tuple[int, int]], data: bytes, place: int) -> None:
    """Take out what a scan brings to its last bit (T.81, B.2.3)."""
    count = data[place + 2]
    first, last, bits = data[place + 3 + 2 * count], data[place + 4 + 2 * count], data[place + 5 + 2 * count] & 15
    if bits == 0:
        for index in range(count):
            parts.difference_update((data[place + 3 + 2 * index], number) for number in range(first, last + 1))


def _next_marker(data: bytes, place: int) -> int:
    """Place of the marker at or behind a place, past fill bytes and noise; -1 where the data end."""
    found = _SCAN_MARKER.search(data, place)
    return found.start() if found else -1


def _could_hold(coded: int, blocks: int) -> bool:
    """Whether so many bytes may be so many blocks: each takes a bit at the least.

    Chroma may be the only component at full size, so a quarter of the luma blocks are counted.
    """
    return 8 * coded >= blocks


def _png(kind: str, data: bytes) -> Header:
    """Walk the chunks; the checksums of those that make pixels are compared."""
    width, height = struct.unpack_from(">II", data, 16)
    place, pixels = 8, 0
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            break
        if name in _PNG_CRITICAL:
            (stated,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(data[place + 4 : end - 4]) != stated:
                raise InvalidInput("the image is damaged (checksum of its pixels); copy it again")
        pixels += length if name == b"IDAT" else 0
        place = end
        if name == b"IEND":
            _check_png_pixels(data, width, height, pixels)
            return Header(kind, width, height, place)
    return Header(kind, width, height, len(data), False)


def _check_png_pixels(data: bytes, width: int, height: int, compressed: int) -> None:
    """Deflate packs at most 1032 : 1; fewer bytes than that cannot be the pixels."""
    depth, colour = data[24], data[25]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    if (width * channels * depth // 8 + 1) * height > 1032 * (compressed + 16):
        raise InvalidInput("the image is damaged: its header promises more pixels than its data can hold")


def _webp(kind: str, data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    form, whole = data[12:16], size + 8 <= len(data)
    if form == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif form == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    return Header(kind, width, height, min(size + 8, len(data)), whole)


def _bmp(kind: str, data: bytes) -> Header:
    size, pixels, header = struct.unpack_from("<I4xII", data, 2)
    if header == 12:
        width, height, bits = struct.unpack_from("<HH2xH", data, 18)
        compression = 0
    else:
        width, height, bits, compression = struct.unpack_from("<ii2xHI", data, 18)
    width, height = abs(width), abs(height)
    needed = pixels + (width * bits + 31) // 32 * 4 * height if compression in (0, 3) else size
    return Header(kind, width, height, len(data), needed <= len(data))


def _gif(kind: str, data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header(kind, width, height, len(data), data.rstrip(b"\0")[-1:] == b";")


def _tiff(kind: str, data: bytes) -> Header:
    """The first directory of a TIFF 6.0 file: size, and whether its strips or tiles lie in the file."""
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    found: dict[int, tuple[int, int, int]] = {}
    for index in range(count):
        tag, form, number = struct.unpack_from(f"{order}HHI", data, place + 2 + 12 * index)
        found[tag] = (form, number, place + 10 + 12 * index)

    def values(tag: int) -> list[int]:
        form, number, at = found.get(tag, (4, 0, 0))
        letter, size = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}.get(form, ("I", 4))
        if number * size > 4:
            (at,) = struct.unpack_from(f"{order}I", data, at)
        if number * size > len(data):
            raise InvalidInput("the image is damaged: a list in its header is longer than the file")
        return list(struct.unpack_from(f"{order}{number}{letter}", data, at))

    starts, lengths = values(273) + values(324), values(279) + values(325)
    whole = bool(starts) and all(a + b <= len(data) for a, b in zip(starts, lengths, strict=False))
    width, height = (values(tag) or [0] for tag in (256, 257))
    return Header(kind, width[0], height[0], len(data), whole)


def _netpbm(kind: str, data: bytes) -> Header:
    match = _NETPBM.match(data[:4096])
    if match is None:
        raise InvalidInput("the header of the image is damaged")
    form = data[1:2]
    width, height, deepest = int(match[1]), int(match[2]), int(match[3] or 1)
    row = {b"4": (width + 7) // 8, b"5": width, b"6": 3 * width}.get(form, 2 * width)
    needed = row * height * (2 if deepest > 255 and form in b"56" else 1) - (1 if form in b"123" else 0)
    return Header(kind, width, height, len(data), needed <= len(data))


def _avif(kind: str, data: bytes) -> Header:
    """Boxes in a row (ISO 14496-12); the largest `ispe` is the image."""
    place = 0
    while place + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, place + 8)
        if size == 0:
            place = len(data)
            break
        if size < 8:
            break
        place += size
    sizes = [struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[: 1 << 16])]
    width, height = max(sizes, default=(0, 0))
    return Header(kind, width, height, len(data), place <= len(data))


def netpbm_white(data: bytes) -> int:
    """The value that is white in a Netpbm file; 255 for black and white and for what cannot be told."""
    match = _NETPBM.match(data[:4096])
    return 255 if match is None or data[1:2] in b"14" else max(int(match[3] or 255), 1)


def tiff_white_is_zero(data: bytes) -> bool:
    """Whether the first page of a TIFF has its white at zero (PhotometricInterpretation 0)."""
    order, place = _tiff_value(data, 262)
    return place > 0 and struct.unpack_from(f"{order}H", data, place) == (0,)


def tiff_as_stored(data: bytes) -> bytes:
    """A TIFF whose alpha multiplies nothing: libtiff darkens colours by an alpha that says it is not in them yet."""
    order, place = _tiff_value(data, 338)
    if place == 0 or struct.unpack_from(f"{order}H", data, place)[0] not in (0, 2):
        return data
    return data[:place] + struct.pack(f"{order}H", 1) + data[place + 2 :]


def _tiff_value(data: bytes, wanted: int) -> tuple[str, int]:
    """Byte order, and the place of a tag's one short value in the first directory; 0 where there is none."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, form, number = struct.unpack_from(f"{order}HHI", data, place)
            if tag == wanted and (form, number) == (3, 1):
                return order, place + 8
    except struct.error:
        return order, 0
    return order, 0


def avif_turn(data: bytes) -> tuple[int, int | None]:
    """How an AVIF wants to be shown: quarter turns to the left, then its mirroring.

    Returns:
        (turns, mirrored): of ISO 23008-12's `irot` and `imir`; mirrored is 0 for top and bottom exchanged, 1 for left
        and right, None for neither. EXIF counts for nothing there.
    """
    head = data[: 1 << 16]
    turn, mirror = (re.search(name, head, re.DOTALL) for name in (rb"\0\0\0\x09irot(.)", rb"\0\0\0\x09imir(.)"))
    return (turn[1][0] & 3 if turn else 0), (mirror[1][0] & 1 if mirror else None)


_KINDS: tuple[tuple[bytes, str, Callable[[str, bytes], Header]], ...] = (
    (rb"\xff\xd8", "jpeg", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", "png", _png),
    (rb"RIFF....WEBP", "webp", _webp),
    (rb"BM", "bmp", _bmp),
    (rb"GIF8[79]a", "gif", _gif),
    (rb"II\x2a\0|MM\0\x2a", "tiff", _tiff),
    (rb"P[1-6][\s#]", "netpbm", _netpbm),
    (rb"....ftyp(?:avif|avis)", "avif", _avif),
)
