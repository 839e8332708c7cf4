"""Faults on request strike the operation they name, as often as they should, and are on record."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulators
from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from simulators.netconf.framing import FramingError
from simulators.station import Station
from tests.unit.simulators.netconf.bench import BASE, Client, label_config

OLD = "T-LTE-1"
LOCK = "<lock><target><candidate/></target></lock>"


async def prepared(client: Client) -> None:
    await client.set_label("new")


async def test_drop_before(client: Client, other: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.DROP_BEFORE, "commit"))
    await prepared(client)
    client.post("<commit/>")
    await client.receive()
    assert client.wire.aborted
    assert client.inbox == []
    assert await other.label() == OLD
    assert station.history.counts[EventKind.FAULT_STRUCK] == 1


async def test_drop_after(client: Client, other: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.DROP_AFTER, "commit"))
    await prepared(client)
    client.post("<commit/>")
    await client.receive()
    assert client.wire.aborted
    assert client.inbox == []
    assert await other.label() == "new"


async def test_lost_reply(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.LOSE_REPLY, "commit"))
    await prepared(client)
    client.post("<commit/>")
    await client.receive()
    assert client.inbox == []
    assert await client.label() == "new"


async def test_delay(client: Client, station: Station, clock: VirtualClock) -> None:
    station.faults.inject(Fault(FaultKind.DELAY, "commit", seconds=20.0))
    await prepared(client)
    client.post("<commit/>")
    await client.receive()
    assert client.inbox == []
    assert station.revision == 0
    clock.advance(20)
    await client.receive()
    assert len(client.inbox) == 1
    assert station.revision == 1


async def test_ok_without_effect(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.OK_WITHOUT_EFFECT, "commit"))
    await prepared(client)
    await client.ok("<commit/>")
    assert await client.label() == OLD
    await client.ok("<commit/>")
    assert await client.label() == "new"


async def test_late_effect(client: Client, station: Station, clock: VirtualClock) -> None:
    """Also where the candidate was discarded meanwhile, and of a cancel."""
    for operation in ("commit", "cancel-commit"):
        station.faults.inject(Fault(FaultKind.LATE_EFFECT, operation, seconds=8.0))
    await prepared(client)
    await client.ok("<commit><confirmed/></commit>")
    await client.ok("<discard-changes/>")
    clock.advance(7)
    assert await client.label() == OLD
    assert not station.datastores.awaiting_confirmation
    clock.advance(1)
    assert await client.label() == "new"
    assert station.datastores.awaiting_confirmation
    assert not station.datastores.dirty
    await client.ok("<cancel-commit/>")
    assert await client.label() == "new"
    clock.advance(8)
    assert await client.label() == OLD


async def test_an_effect_that_is_late_and_was_not_answered(
    client: Client, other: Client, station: Station, clock: VirtualClock
) -> None:
    station.faults.inject(Fault(FaultKind.DROP_LATE, "commit", seconds=8.0))
    await prepared(client)
    client.post("<commit><confirmed/></commit>")
    await client.receive()
    assert client.wire.aborted
    assert client.inbox == []
    clock.advance(7)
    assert await other.label() == OLD
    clock.advance(1)
    assert await other.label() == "new"
    assert station.datastores.awaiting_confirmation


async def test_confirm_is_an_operation_of_its_own(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.OK_WITHOUT_EFFECT, "confirm"))
    await prepared(client)
    await client.ok("<commit><confirmed/></commit>")
    await client.ok("<commit/>")
    assert station.datastores.awaiting_confirmation
    await client.ok("<commit/>")
    assert not station.datastores.awaiting_confirmation


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE_FRAME, FaultKind.TRUNCATED_FRAME, FaultKind.OVERSIZED_CHUNK])
async def test_spoilt_frames(client: Client, station: Station, kind: FaultKind) -> None:
    station.faults.inject(Fault(kind, "commit"))
    await prepared(client)
    client.post("<commit/>")
    if kind is FaultKind.TRUNCATED_FRAME:
        await client.receive()
        assert client.decoder.buffered
        assert client.inbox == []
        assert client.wire.closed
    else:
        with pytest.raises(FramingError):
            await client.receive()
    assert station.revision == 1


async def test_warning_before_error(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.WARNING_BEFORE_ERROR, "commit"))
    await prepared(client)
    reply = await client.rpc("<commit/>")
    severities = [error.findtext(f"{{{BASE}}}error-severity") for error in reply]
    assert severities == ["warning", "error"]
    assert await client.label() == OLD


async def test_lock_denied_for_a_while(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.LOCK_DENIED, "lock", count=2))
    for _ in range(2):
        assert await client.error(LOCK) == ("lock-denied", {"session-id": "0"})
    await client.ok(LOCK)


async def test_foreign_edit_between_prepare_and_confirm(client: Client, station: Station, clock: VirtualClock) -> None:
    station.faults.inject(Fault(FaultKind.FOREIGN_EDIT, "confirm", config=label_config("foreign")))
    await prepared(client)
    await client.ok("<commit><confirmed/></commit>")
    assert await client.label() == "new"
    await client.ok("<commit/>")
    assert await client.label() == "foreign"


async def test_fault_until_cleared(client: Client, station: Station) -> None:
    fault = station.faults.inject(Fault(FaultKind.FAIL, "commit", count=None))
    for _ in range(5):
        assert (await client.error("<commit/>"))[0] == "operation-failed"
    assert fault.struck == 5
    assert station.faults.clear(fault.id) == 1
    await client.ok("<commit/>")
    assert station.faults.clear() == 0


async def test_faults_of_one_operation_leave_others_alone(client: Client, station: Station) -> None:
    station.faults.inject(Fault(FaultKind.FAIL, "commit"))
    assert await client.label() == OLD
    await client.ok(LOCK)
    assert len(station.faults) == 1


def test_every_fault_is_described() -> None:
    text = (Path(simulators.__file__).parent / "README.md").read_text()
    assert [kind.value for kind in FaultKind if f"`{kind.value}`" not in text] == []
