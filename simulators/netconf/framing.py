"""RFC 6242 framing: end-of-message (base:1.0) and chunked (base:1.1), with limits.

A decoder takes received bytes and yields whole messages. Input that breaks the rules raises FramingError, after which
the session must be closed (RFC 6242 §4.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

END_OF_MESSAGE = b"]]>]]>"
#: Largest message that a station takes, in bytes.
MAX_MESSAGE = 4 * 1024 * 1024
#: Largest chunk size that RFC 6242 §4.2 allows.
MAX_CHUNK = 4294967295

_CHUNK_HEADER = re.compile(rb"\n#([1-9][0-9]{0,9})\n")
_END_OF_CHUNKS = b"\n##\n"
#: Longest chunk header: LF, #, ten digits, LF.
_LONGEST_HEADER = 13


class FramingError(Exception):
    """The peer broke the framing rules or a limit."""


class Decoder:
    """Splits bytes into messages; starts with end-of-message framing, as every session does."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._message = bytearray()
        self._chunk_left = 0
        self.chunked = False

    def feed(self, data: bytes) -> None:
        """Add received bytes; ``messages`` says which are complete."""
        self._buffer += data

    @property
    def buffered(self) -> int:
        """Bytes that were received and not yet handed out."""
        return len(self._buffer) + len(self._message)

    def messages(self) -> Iterator[bytes]:
        """Yield each message that is complete; framing may be switched between two of them.

        Raises:
            FramingError: the bytes break the framing rules, or a limit is exceeded.
        """
        while (message := self._chunked_message() if self.chunked else self._plain_message()) is not None:
            yield message

    def _plain_message(self) -> bytes | None:
        end = self._buffer.find(END_OF_MESSAGE, self._scanned)
        if end < 0:
            # The delimiter may be split over two reads: search again only in its last bytes.
            self._scanned = max(0, len(self._buffer) - len(END_OF_MESSAGE) + 1)
            self._check(len(self._buffer))
            return None
        self._check(end)
        message = bytes(self._buffer[:end])
        del self._buffer[: end + len(END_OF_MESSAGE)]
        self._scanned = 0
        return message

    def _chunked_message(self) -> bytes | None:
        while True:
            if self._chunk_left:
                self._take_chunk_data()
                if self._chunk_left:
                    return None
            if self._buffer.startswith(_END_OF_CHUNKS):
                return self._finish()
            if not self._take_chunk_header():
                return None

    def _take_chunk_data(self) -> None:
        taken = min(self._chunk_left, len(self._buffer))
        self._message += self._buffer[:taken]
        del self._buffer[:taken]
        self._chunk_left -= taken

    def _take_chunk_header(self) -> bool:
        """Take the next chunk's header; False when more bytes are needed."""
        header = _CHUNK_HEADER.match(self._buffer)
        if header is None:
            start = bytes(self._buffer[:_LONGEST_HEADER])
            if len(start) < _LONGEST_HEADER and _may_become_header(start):
                return False
            raise FramingError(f"not a chunk header: {start!r}")
        size = int(header[1])
        if size > MAX_CHUNK:
            raise FramingError(f"chunk of {size} bytes exceeds what RFC 6242 allows")
        self._check(len(self._message) + size)
        del self._buffer[: header.end()]
        self._chunk_left = size
        return True

    def _finish(self) -> bytes:
        if not self._message:
            raise FramingError("a message without any chunk")
        message = bytes(self._message)
        self._message.clear()
        del self._buffer[: len(_END_OF_CHUNKS)]
        return message

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise FramingError(f"message of {size} bytes exceeds the limit of {self._limit}")


_PARTIAL_HEADER = re.compile(rb"(\n(#(#|[1-9][0-9]{0,9})?)?)?")


def _may_become_header(start: bytes) -> bool:
    return _PARTIAL_HEADER.fullmatch(start) is not None


def encode(message: bytes, *, chunked: bool) -> bytes:
    """Frame one message."""
    if chunked:
        return b"\n#%d\n%b\n##\n" % (len(message), message)
    return message + END_OF_MESSAGE
