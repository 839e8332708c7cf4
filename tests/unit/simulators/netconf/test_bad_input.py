"""Whatever a client sends, only its own session suffers (fault 26 of the reliability plan)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.framing import MAX_MESSAGE, encode
from simulators.netconf.session import CLIENT_SECONDS, READ_AHEAD, Session
from simulators.station import Station, StationSettings
from tests.unit.simulators.netconf.bench import (
    BASE,
    CREATE,
    DELETE,
    ENB,
    ME,
    Client,
    Wire,
    edit,
    label_config,
    make_station,
    run_loop,
)

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
    wire = Wire()
    session = Session(station.server, "minka", wire)
    session.open()
    clock.advance(CLIENT_SECONDS + 1)
    assert wire.aborted
    assert station.server.sessions == {}


async def test_idle_client_that_said_hello_stays(client: Client, clock: VirtualClock) -> None:
    clock.advance(100 * CLIENT_SECONDS)
    assert await client.label() == "T-LTE-1"


async def test_client_that_does_not_read_is_dropped(client: Client, other: Client, clock: VirtualClock) -> None:
    client.session.pause_writing()
    client.post("<get/>")
    await run_loop()
    assert not client.wire.sent
    clock.advance(CLIENT_SECONDS + 1)
    assert client.wire.aborted
    assert await other.label() == "T-LTE-1"


async def test_client_that_reads_again_is_served(client: Client, clock: VirtualClock) -> None:
    client.session.pause_writing()
    client.post("<get/>")
    clock.advance(CLIENT_SECONDS - 1)
    client.session.resume_writing()
    clock.advance(CLIENT_SECONDS)
    await client.receive()
    assert len(client.inbox) == 1


async def test_a_flood_is_not_read_while_an_operation_takes_its_time(clock: VirtualClock) -> None:
    client = await Client(make_station(clock, StationSettings(delays={"commit": 10.0}))).greeted()
    client.post("<commit/>")
    await run_loop()
    client.session.receive(b"\n#%d\n" % (READ_AHEAD + 1) + b"x" * (READ_AHEAD + 1))
    assert not client.wire.reading
    clock.advance(10)
    await run_loop()
    assert client.wire.reading


async def test_a_token_under_which_nothing_waits_is_refused_at_once(clock: VirtualClock) -> None:
    """Servers look at it before they begin to work; what they do carry out takes its time, also confirming."""
    client = await Client(make_station(clock, StationSettings(delays={"commit": 10.0, "confirm": 10.0}))).greeted()
    client.post("<commit><confirmed/><persist>mine</persist></commit>")
    for seconds in (9, 1):
        await client.receive()
        assert client.inbox == []
        clock.advance(seconds)
    await client.receive()
    client.post("<commit><persist-id>other</persist-id></commit>")
    await client.receive()
    client.post("<commit><persist-id>mine</persist-id></commit>")
    await client.receive()
    assert len(client.inbox) == 2
    clock.advance(10)
    client.post("<commit><persist-id>mine</persist-id></commit>")
    await client.receive()
    assert [reply[0].tag.rpartition("}")[2] for reply in client.inbox] == ["ok", "rpc-error", "ok", "rpc-error"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


NAMES = (
    *("get", "get-config", "edit-config", "copy-config", "lock", "unlock", "commit", "cancel-commit", "validate"),
    *("kill-session", "create-subscription", "get-schema", "delete-config", "discard-changes", "filter", "source"),
    *("target", "running", "candidate", "config", "default-operation", "test-option", "confirmed", "persist", "id"),
    *("persist-id", "session-id", "confirm-timeout", "ManagedElement", "ENBFunction", "attributes", "EUtranCellFDD"),
    *("userLabel", "plmnIdList", "mcc", "mnc", "identifier", "stream", "with-defaults"),
)
SPACES = ("", f' xmlns="{BASE}"', f' xmlns="{ME}"', f' xmlns="{ENB}"', ' xmlns="urn:else"', CREATE, DELETE)
TEXTS = st.sampled_from(("", "1", "T-LTE-1", "716", "merge", "none", "replace", "-1", "99999999999", "x y", "&#x2028;"))


def _element(name: str, space: str, content: str) -> str:
    return f"<{name}{space}>{content}</{name}>"


TREES = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        _element, st.sampled_from(NAMES), st.sampled_from(SPACES), st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(NAMES[:16]), st.lists(TREES, max_size=3)), min_size=1, max_size=3))
async def test_every_well_formed_rpc_gets_one_reply(operations: list[tuple[str, list[str]]]) -> None:
    """No combination of known words makes a station fall silent or lose the session."""
    station = make_station(VirtualClock())
    client = await Client(station).greeted()
    numbers = []
    for number, (name, content) in enumerate(operations):
        numbers.append(str(number))
        operation = _element(name, "", "".join(content))
        client.send(f'<rpc xmlns="{BASE}" xmlns:nc="{BASE}" message-id="{number}">{operation}</rpc>'.encode())
    await client.receive()
    replies = [reply for reply in client.inbox if reply.tag == f"{{{BASE}}}rpc-reply"]
    assert [reply.get("message-id") for reply in replies] == numbers
    assert not client.wire.aborted
