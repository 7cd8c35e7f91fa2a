"""The character set of a text body."""

from __future__ import annotations

import codecs

from service.api.head import MediaType
from service.api.http_errors import MalformedBody
from service.api.validation_errors import clip
from service.errors import InvalidRequest

CHARSETS = {
    name: codec
    for codec, names in {
        "utf-8": ("utf-8", "utf8", "us-ascii", "ascii"),
        "utf-16": ("utf-16", "utf-16le", "utf-16be"),
        "iso-8859-1": ("iso-8859-1", "latin1"),
        "windows-1252": ("windows-1252", "cp1252"),
    }.items()
    for name in names
}
"""The supported values of `charset`, and their codecs."""
_WORKBOOK = b"PK\x03\x04"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"


def to_utf8(body: bytes | bytearray, media_type: MediaType) -> tuple[bytes | bytearray, str]:
    """The text as UTF-8 without a byte-order mark, with line ends \\n or \\r\\n; and the character
    set that it had. A text that names none and is not UTF-8 is read as windows-1252."""
    if body.startswith((_WORKBOOK, _OLD_WORKBOOK)):
        raise MalformedBody(
            "the body is a workbook or another packed file, not text; in the spreadsheet choose "
            "'Save as' and 'CSV UTF-8', and send that"
        )
    stated = media_type.params.get("charset", "").lower()
    if stated and stated not in CHARSETS:
        raise InvalidRequest(f"unknown charset '{clip(stated)}'; known: {', '.join(CHARSETS)}")
    codec = CHARSETS.get(stated, "utf-8")
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        codec = "utf-16"
    elif codec == "utf-16" and stated != "utf-16":
        codec = "utf-16-le" if stated.endswith("le") else "utf-16-be"
    if body.startswith(codecs.BOM_UTF8):
        body = body[3:]
    if not body.isascii() or codec.startswith("utf-16"):
        decoded, codec = _decoded(body, codec, is_stated=bool(stated))
        body = body if codec == "utf-8" else decoded.encode()
    if b"\r" in body and b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    return body, codec


def _decoded(body: bytes | bytearray, codec: str, *, is_stated: bool) -> tuple[str, str]:
    try:
        return body.decode(codec), codec
    except UnicodeDecodeError as error:
        place = error.start
    if not is_stated and codec == "utf-8":
        try:
            return body.decode("windows-1252"), "windows-1252"
        except UnicodeDecodeError as error:
            place = error.start
    line = body.count(b"\n", 0, place) + 1
    raise MalformedBody(
        f"line {line} is not {codec.upper()}; save the file as 'CSV UTF-8', or name its "
        "charset: `-H 'Content-Type: text/csv; charset=iso-8859-1'`"
    )
