"""RFC 6242 framing: whatever the network does to the bytes, messages come out whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.netconf.framing import END_OF_MESSAGE, MAX_CHUNK, Decoder, FramingError, encode

MESSAGES = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5)
PLAIN = st.lists(st.binary(min_size=1, max_size=200).filter(lambda m: b"]" not in m), min_size=1, max_size=5)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def decode(decoder: Decoder, parts: list[bytes]) -> list[bytes]:
    found = []
    for part in parts:
        decoder.feed(part)
        found += list(decoder.messages())
    return found


@given(MESSAGES, st.lists(st.integers(min_value=0), max_size=20), st.booleans())
def test_chunked_messages_survive_any_cut(messages: list[bytes], cuts: list[int], split: bool) -> None:
    decoder = Decoder()
    decoder.chunked = True
    if split:
        data = b"".join(b"".join(b"\n#1\n%c" % byte for byte in message) + b"\n##\n" for message in messages)
    else:
        data = b"".join(encode(message, chunked=True) for message in messages)
    assert decode(decoder, pieces(data, cuts)) == messages
    assert decoder.buffered == 0


@given(PLAIN, st.lists(st.integers(min_value=0), max_size=20))
def test_plain_messages_survive_any_cut(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(encode(message, chunked=False) for message in messages)
    assert decode(Decoder(), pieces(data, cuts)) == messages


@given(st.binary(max_size=400), st.lists(st.integers(min_value=0), max_size=10))
def test_garbage_is_refused_or_waits_and_never_blows_up(data: bytes, cuts: list[int]) -> None:
    whole, cut = Decoder(), Decoder()
    whole.chunked = cut.chunked = True
    outcomes = []
    for decoder, parts in ((whole, [data]), (cut, pieces(data, cuts))):
        try:
            outcomes.append(decode(decoder, parts))
        except FramingError:
            outcomes.append([b"refused"])
    assert outcomes[0] == outcomes[1]


@given(st.binary(min_size=1, max_size=100), st.integers(min_value=0))
def test_what_follows_a_chunk_must_be_framing(message: bytes, place: int) -> None:
    """A byte too many inside a frame is always noticed."""
    frame = encode(message, chunked=True)
    at = len(frame) - place % 4
    spoilt = frame[:at] + b"x" + frame[at:]
    decoder = Decoder()
    decoder.chunked = True
    with pytest.raises(FramingError):
        decode(decoder, [spoilt, encode(b"next", chunked=True)])


def test_delimiter_inside_chunked_content_is_content() -> None:
    decoder = Decoder()
    decoder.chunked = True
    message = b"<a>" + END_OF_MESSAGE + b"</a>"
    assert decode(decoder, [encode(message, chunked=True)]) == [message]


def test_framing_switches_between_two_messages_that_came_together() -> None:
    decoder = Decoder()
    decoder.feed(encode(b"hello", chunked=False) + encode(b"rpc", chunked=True))
    found = []
    for message in decoder.messages():
        found.append(message)
        decoder.chunked = True
    assert found == [b"hello", b"rpc"]


@pytest.mark.parametrize(
    "data",
    [
        b"\n#0\n",
        b"\n#01\na",
        b"\n#-1\n",
        b"\n#4294967296\n",
        b"\n#99999999999\n",
        b"\n#1 \na",
        b"\n##\n",
        b"#1\na",
        b"\r\n#1\na",
        b"<rpc/>]]>]]>",
    ],
)
def test_wrong_chunk_headers_are_refused(data: bytes) -> None:
    decoder = Decoder()
    decoder.chunked = True
    with pytest.raises(FramingError):
        decode(decoder, [data])


def test_an_oversized_chunk_is_refused_before_its_bytes_come() -> None:
    decoder = Decoder(limit=1000)
    decoder.chunked = True
    with pytest.raises(FramingError, match="limit"):
        decode(decoder, [b"\n#1001\n"])
    assert MAX_CHUNK == 2**32 - 1


def test_many_small_chunks_count_together() -> None:
    decoder = Decoder(limit=1000)
    decoder.chunked = True
    with pytest.raises(FramingError, match="limit"):
        decode(decoder, [b"\n#100\n" + b"a" * 100] * 11)


def test_a_message_that_never_ends_is_refused() -> None:
    with pytest.raises(FramingError, match="limit"):
        decode(Decoder(limit=1000), [b"a" * 600] * 2)


def test_chunked_encoding_is_exactly_that_of_the_rfc() -> None:
    assert encode(b"<rpc/>", chunked=True) == b"\n#6\n<rpc/>\n##\n"
