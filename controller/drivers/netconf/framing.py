"""RFC 6242 framing for a client that trusts no peer: end-of-message (base:1.0) and chunks (base:1.1).

Input that breaks the rules raises ``FramingError``. The session is then lost, since nobody knows where the next message
begins (RFC 6242 §4.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

END_OF_MESSAGE = b"]]>]]>"
#: Largest message to accept from a device, in bytes; a fully configured station answers with 0.2 MB.
MAX_MESSAGE = 16 * 1024 * 1024

_HEADER = re.compile(rb"\n#(?:#|([1-9][0-9]{0,9}))\n")
_BEGINNING_OF_HEADER = re.compile(rb"\n?|\n#(?:#|[1-9][0-9]{0,9})?")
_LONGEST_HEADER = len(b"\n#4294967295\n")


class FramingError(Exception):
    """The device broke the framing rules or a limit."""


class Framer:
    """Splits received bytes into messages.

    Attributes:
        chunked: Whether chunked framing is in force; may change between two messages, after the hellos.
    """

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self.chunked = False
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._chunks = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that is complete with ``data``.

        Raises:
            FramingError: The bytes break the framing rules, or the message exceeds the limit.
        """
        self._buffer += data
        while (message := self._next_in_chunks() if self.chunked else self._next_delimited()) is not None:
            yield message

    def _next_delimited(self) -> bytes | None:
        end = self._buffer.find(END_OF_MESSAGE, self._searched)
        self._check(len(self._buffer) if end < 0 else end)
        if end < 0:
            # The delimiter may be split over two reads: search again only where it could begin.
            self._searched = max(0, len(self._buffer) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(self._buffer[:end])
        del self._buffer[: end + len(END_OF_MESSAGE)]
        self._searched = 0
        return message

    def _next_in_chunks(self) -> bytes | None:
        while (header := self._header()) is not None:
            if header[1] is None:
                return self._end_of_chunks(header.end())
            size = int(header[1])
            self._check(len(self._chunks) + size)
            end = header.end() + size
            if len(self._buffer) < end:
                return None
            self._chunks += self._buffer[header.end() : end]
            del self._buffer[:end]
        return None

    def _header(self) -> re.Match[bytes] | None:
        """The header at the front of the buffer; None while it may still be completed."""
        header = _HEADER.match(self._buffer)
        if header is None and not _BEGINNING_OF_HEADER.fullmatch(self._buffer[:_LONGEST_HEADER]):
            raise FramingError("there is no chunk header where one must be")
        return header

    def _end_of_chunks(self, end: int) -> bytes:
        if not self._chunks:
            raise FramingError("a message has no chunks")
        message = bytes(self._chunks)
        self._chunks.clear()
        del self._buffer[:end]
        return message

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise FramingError(f"a message of {size} bytes or more exceeds the limit of {self._limit}")


def frame(message: bytes, *, chunked: bool) -> bytes:
    """Frame one message for the wire."""
    if chunked:
        return b"\n#%d\n%b\n##\n" % (len(message), message)
    return message + END_OF_MESSAGE
