"""Framing (RFC 6242): any cut of the bytes gives the same messages, and garbage gives an error."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.drivers.netconf.framing import END_OF_MESSAGE, Framer, FramingError, frame

messages_of_any_bytes = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5)
messages_without_delimiter = st.lists(
    st.binary(max_size=200).filter(lambda data: END_OF_MESSAGE not in data + b"]]>]]"), min_size=1, max_size=5
)


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def _feed(framer: Framer, pieces: list[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in framer.feed(piece)]


def _chunked(message: bytes, places: list[int]) -> bytes:
    return b"".join(b"\n#%d\n%b" % (len(piece), piece) for piece in _cut(message, places)) + b"\n##\n"


@given(messages_of_any_bytes, st.lists(st.integers(0, 5000)), st.lists(st.integers(0, 500)))
def test_chunked_messages_survive_any_cut(messages: list[bytes], cuts: list[int], chunks: list[int]) -> None:
    framer = Framer()
    framer.chunked = True
    wire = b"".join(_chunked(message, chunks) for message in messages)
    assert _feed(framer, _cut(wire, cuts)) == messages


@given(messages_without_delimiter, st.lists(st.integers(0, 5000)))
def test_delimited_messages_survive_any_cut(messages: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(frame(message, chunked=False) for message in messages)
    assert _feed(Framer(), _cut(wire, cuts)) == messages


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)), st.booleans())
def test_garbage_raises_nothing_else_and_holds_no_more_than_it_was_given(
    data: bytes, cuts: list[int], chunked: bool
) -> None:
    framer = Framer()
    framer.chunked = chunked
    try:
        taken = _feed(framer, _cut(data, cuts))
    except FramingError:
        return
    assert sum(map(len, taken)) <= len(data)


def test_framing_changes_between_two_messages_of_one_packet() -> None:
    framer = Framer()
    messages = framer.feed(frame(b"<hello/>", chunked=False) + frame(b"<first/>", chunked=True))
    assert next(messages) == b"<hello/>"
    framer.chunked = True
    assert list(messages) == [b"<first/>"]


def test_the_old_delimiter_within_a_chunk_is_data() -> None:
    framer = Framer()
    framer.chunked = True
    assert list(framer.feed(frame(b"<a>]]>]]></a>", chunked=True))) == [b"<a>]]>]]></a>"]


@pytest.mark.parametrize(
    "wire",
    [
        b"<rpc-reply/>",
        b"\n#0\n",
        b"\n#01\nx",
        b"\n#-1\n",
        b"\n#5 \nhello",
        b"\n##\n",
        b"\n#1\nxgarbage",
        b"\n#99999999999\n",
        b"\n#1\nx\n#\n",
        b"\r\n#1\nx",
    ],
)
def test_what_is_no_chunk_is_refused(wire: bytes) -> None:
    framer = Framer()
    framer.chunked = True
    with pytest.raises(FramingError):
        list(framer.feed(wire))


def test_a_truncated_chunk_is_no_message() -> None:
    framer = Framer()
    framer.chunked = True
    assert list(framer.feed(frame(b"<rpc-reply/>", chunked=True)[:-1])) == []


@pytest.mark.parametrize(
    ("chunked", "wire"),
    [
        (True, b"\n#4294967295\n"),
        (True, b"\n#60\n" + b"x" * 60 + b"\n#60\n"),
        (False, b"x" * 101),
        (False, b"x" * 101 + END_OF_MESSAGE),
    ],
    ids=["one chunk", "sum of chunks", "endless", "long"],
)
def test_what_is_too_large_is_refused_before_it_is_held(chunked: bool, wire: bytes) -> None:
    framer = Framer(limit=100)
    framer.chunked = chunked
    with pytest.raises(FramingError, match="limit"):
        list(framer.feed(wire))
