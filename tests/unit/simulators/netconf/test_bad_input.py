"""Whatever a client sends, only its own session suffers (fault 26 of the reliability plan)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.framing import MAX_MESSAGE, encode
from simulators.netconf.session import PATIENCE, READ_AHEAD
from simulators.station import Station
from tests.unit.simulators.netconf.desk import BASE, Client, edit, label_config, make_station, run_loop

BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
    b'<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)
RPC = f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n#99999999999\n",
        b"\n#4294967295\n",
        b"\n#5\n<rpc/>\n##\n",
        encode(b"<rpc", chunked=True),
        encode(b"\xff\xfe\x00", chunked=True),
        encode(b"<hello/>", chunked=True),
        encode(b"<a/><b/>", chunked=True),
        encode(BOMB + b"<rpc>&e;</rpc>", chunked=True),
        encode(b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rpc>&x;</rpc>', chunked=True),
        encode(b"<!DOCTYPE rpc>" + RPC, chunked=True),
        encode(b"<a>" * 5000, chunked=True),
    ],
)
async def test_bad_bytes_end_only_their_session(client: Client, other: Client, station: Station, data: bytes) -> None:
    await other.set_label("kept")
    client.session.receive(data)
    await run_loop()
    assert client.wire.closed
    assert b"<ok/>" not in client.wire.sent
    assert b"malformed-message" in client.wire.sent
    assert station.history.counts[EventKind.PROTOCOL_ERROR] == 1
    assert await other.label("candidate") == "kept"


async def test_nothing_is_sent_that_base_1_0_does_not_know(station: Station) -> None:
    client = await Client(station, chunked=False).greeted()
    client.session.receive(b"<rpc]]>]]>")
    await run_loop()
    assert client.wire.closed
    assert not client.wire.sent


async def test_delimiter_inside_content_is_content(client: Client) -> None:
    await client.ok(edit(label_config("a]]&gt;]]&gt;b")))
    await client.ok(edit(label_config("<![CDATA[a]]]]><![CDATA[>]]]]><![CDATA[>b]]>")))
    assert await client.label("candidate") == "a]]>]]>b"


async def test_truncated_frame_waits_and_goes_with_its_session(client: Client, other: Client) -> None:
    frame = encode(f'<rpc xmlns="{BASE}" message-id="1">{edit(label_config("half"))}</rpc>'.encode(), chunked=True)
    client.session.receive(frame[: len(frame) // 2])
    await run_loop()
    client.session.lost()
    assert await other.label("candidate") == "T-LTE-1"


async def test_a_message_beyond_the_limit_is_refused(client: Client) -> None:
    client.session.receive(b"\n#%d\n" % (MAX_MESSAGE + 1))
    await run_loop()
    assert client.wire.closed


async def test_silent_client_is_dropped(station: Station, clock: VirtualClock) -> None:
    from simulators.netconf.session import Session
    from tests.unit.simulators.netconf.desk import Wire

    wire = Wire()
    session = Session(station, "minka", wire)
    session.open()
    clock.advance(PATIENCE + 1)
    assert wire.aborted
    assert station.sessions == {}


async def test_idle_client_that_said_hello_stays(client: Client, clock: VirtualClock) -> None:
    clock.advance(100 * PATIENCE)
    assert await client.label() == "T-LTE-1"


async def test_client_that_does_not_read_is_dropped(client: Client, other: Client, clock: VirtualClock) -> None:
    client.session.pause_writing()
    client.post("<get/>")
    await run_loop()
    assert not client.wire.sent
    clock.advance(PATIENCE + 1)
    assert client.wire.aborted
    assert await other.label() == "T-LTE-1"


async def test_client_that_reads_again_is_served(client: Client, clock: VirtualClock) -> None:
    client.session.pause_writing()
    client.post("<get/>")
    clock.advance(PATIENCE - 1)
    client.session.resume_writing()
    clock.advance(PATIENCE)
    await client.receive()
    assert len(client.inbox) == 1


async def test_a_flood_is_not_read_while_an_operation_takes_its_time(clock: VirtualClock) -> None:
    from simulators.station import Quirks

    client = await Client(make_station(clock, Quirks(delays={"commit": 10.0}))).greeted()
    client.post("<commit/>")
    await run_loop()
    client.session.receive(b"\n#%d\n" % (READ_AHEAD + 1) + b"x" * (READ_AHEAD + 1))
    assert not client.wire.reading
    clock.advance(10)
    await run_loop()
    assert client.wire.reading


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=120), max_size=4), st.booleans())
async def test_fuzz(pieces: list[bytes], framed: bool) -> None:
    station = make_station(VirtualClock())
    witness = await Client(station).greeted()
    victim = await Client(station).greeted()
    for piece in pieces:
        victim.session.receive(encode(piece or b"?", chunked=True) if framed else piece)
        await run_loop()
    assert b"<ok/>" not in victim.wire.sent
    assert await witness.label() == "T-LTE-1"
