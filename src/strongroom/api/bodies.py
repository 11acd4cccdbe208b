"""Reads request bodies: only so large, only so long, only as what the operation takes."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from strongroom.api.asgi import Receive
from strongroom.api.operations import Call
from strongroom.kernel.errors import ErrorCode, Invalid, TooLarge

READ_WITHIN_S: Final = 60.0
_GZIP: Final = 31
"""``wbits`` of zlib: the largest window, in gzip's frame and no other."""


async def read_body(call: Call, receive: Receive, limit: int, *, within_s: float = READ_WITHIN_S) -> bytes:
    """Return the body, decompressed.

    Args:
        call: gives the headers and what the operation takes.
        receive: of the ASGI server.
        limit: most bytes, before and after decompression.
        within_s: seconds that the client has to send all of it.

    Raises:
        TooLarge: the body is larger than ``limit``.
        Invalid: it is incomplete, of another type, or encoded in a way that is not known here.
    """
    _check_length(call, limit)
    try:
        async with asyncio.timeout(within_s):
            raw = await _receive_all(receive, limit)
    except TimeoutError:
        raise Invalid(
            ErrorCode.MALFORMED_REQUEST, f"The request body did not arrive within {within_s:g} seconds."
        ) from None
    encoding = call.headers.get("content-encoding", "").strip().lower()
    if encoding == "gzip":
        raw = _gunzip(raw, limit) if raw else raw
    elif encoding not in {"", "identity"}:
        raise Invalid(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip or absent.", field="Content-Encoding"
        )
    if raw or call.operation.body_required:
        _check_media_type(call)
    return raw


def _check_length(call: Call, limit: int) -> None:
    announced = call.headers.get("content-length", "0").strip()
    if not (announced.isascii() and announced.isdigit()):
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "Content-Length must be a number.", field="Content-Length")
    # Compared as text first: a number of a million digits is not worth reading.
    if len(announced.lstrip("0")) > len(str(limit)) or int(announced) > limit:
        raise _too_large(limit)


async def _receive_all(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid(ErrorCode.MALFORMED_REQUEST, "The connection ended before the request was complete.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _gunzip(raw: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        text = stream.decompress(raw, limit + 1)
    except zlib.error:
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "The request body is not valid gzip data.") from None
    if len(text) > limit:
        raise _too_large(limit)
    if not stream.eof:
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "The gzip request body is incomplete.")
    if stream.unused_data:
        raise Invalid(ErrorCode.MALFORMED_REQUEST, "Something follows the end of the gzip request body.")
    return text


def _check_media_type(call: Call) -> None:
    given = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in call.operation.media_types:
        allowed = " or ".join(call.operation.media_types)
        raise Invalid(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"The Content-Type of this operation must be {allowed}.",
            field="Content-Type",
        )


def _too_large(limit: int) -> TooLarge:
    return TooLarge(ErrorCode.REQUEST_TOO_LARGE, f"The request body is larger than {limit} bytes after decompression.")
