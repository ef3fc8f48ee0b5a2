"""Image files that hold more than the one image that is read of them: animations and pages.

Formats: GIF89a, APNG (W3C PNG 3), WebP, TIFF 6.0 and AVIF (ISO 23008-12).
"""

import struct

_GIF_SEPARATOR, _GIF_EXTENSION = 0x2C, 0x21
_NEW_SUBFILE_TYPE, _REDUCED = 254, 1


def holds_several(kind: str, data: bytes) -> bool:
    """Whether more images follow the first; False where that cannot be told.

    Args:
        kind: as `Header.kind`.
        data: of the whole file.
    """
    try:
        if kind == "gif":
            return _gif_pictures(data) > 1
        if kind == "png":
            place = data.find(b"acTL", 8, max(data.find(b"IDAT"), 0))
            return place > 0 and int(struct.unpack_from(">I", data, place + 4)[0]) > 1
        if kind == "webp":
            return data[12:16] == b"VP8X" and bool(data[20] & 2)
        if kind == "tiff":
            return _tiff_pages(data)
    except (struct.error, IndexError):
        return False
    return kind == "avif" and data[8:12] == b"avis"


def _gif_pictures(data: bytes) -> int:
    """Images of a GIF, counted up to 2."""
    place, count = 13 + _colours(data[10]), 0
    while count < 2 and data[place] in (_GIF_SEPARATOR, _GIF_EXTENSION):
        if data[place] == _GIF_SEPARATOR:
            count += 1
            place += 10 + _colours(data[place + 9]) + 1
        else:
            place += 2
        while data[place]:
            place += 1 + data[place]
        place += 1
    return count


def _colours(flags: int) -> int:
    """Bytes of a colour table, 0 where there is none."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _tiff_pages(data: bytes) -> bool:
    """Whether a second directory is a page, and no smaller copy of the first."""
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    (second,) = struct.unpack_from(f"{order}I", data, first + 2 + 12 * count)
    if not second:
        return False
    (count,) = struct.unpack_from(f"{order}H", data, second)
    entries = [struct.unpack_from(f"{order}HHII", data, second + 2 + 12 * row) for row in range(count)]
    return not any(tag == _NEW_SUBFILE_TYPE and value & _REDUCED for tag, _, _, value in entries)
