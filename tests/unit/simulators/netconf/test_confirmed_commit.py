"""The confirmed commit of RFC 6241 §8.4, the cases that netopeer2 tests and some more, in virtual time."""

from __future__ import annotations

import pytest
from lxml import etree

from simulators.clock import VirtualClock
from simulators.history import EventKind
from simulators.netconf.notifications import Subscription
from simulators.netconf.server import Server
from simulators.station import Station
from tests.unit.simulators.netconf.bench import Client, label_config

CONFIRMED = "<commit><confirmed/></commit>"


def confirmed(timeout: int | None = None, persist: str | None = None, persist_id: str | None = None) -> str:
    parts = ["<confirmed/>"]
    if timeout is not None:
        parts.append(f"<confirm-timeout>{timeout}</confirm-timeout>")
    if persist is not None:
        parts.append(f"<persist>{persist}</persist>")
    if persist_id is not None:
        parts.append(f"<persist-id>{persist_id}</persist-id>")
    return f"<commit>{''.join(parts)}</commit>"


LOCK_RUNNING = "<lock><target><running/></target></lock>"
OLD, NEW, NEWER = "T-LTE-1", "new", "newer"


async def test_unconfirmed_reverts_after_600_seconds_by_default(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(CONFIRMED)
    assert await client.label() == NEW
    clock.advance(599.9)
    assert await client.label() == NEW
    clock.advance(0.2)
    assert await client.label() == OLD


async def test_unconfirmed_reverts_after_the_named_time(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    clock.advance(29.9)
    assert await client.label() == NEW
    clock.advance(0.2)
    assert await client.label() == OLD


async def test_confirming_commit_makes_it_last(client: Client, clock: VirtualClock, station: Station) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.ok("<commit/>")
    clock.advance(10_000)
    assert await client.label() == NEW
    assert station.history.counts[EventKind.RUNNING_CHANGED] == 1
    assert station.history.counts[EventKind.CONFIRMED] == 1


async def test_confirming_commit_takes_new_edits_along(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.set_label(NEWER)
    await client.ok("<commit/>")
    clock.advance(10_000)
    assert await client.label() == NEWER


async def test_follow_up_restarts_the_timer(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    clock.advance(20)
    await client.ok(confirmed(40))
    clock.advance(39)
    assert await client.label() == NEW
    clock.advance(2)
    assert await client.label() == OLD


async def test_follow_up_with_edits_falls_back_to_before_the_first(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.set_label(NEWER)
    await client.ok(confirmed(30))
    assert await client.label() == NEWER
    clock.advance(31)
    assert await client.label() == OLD


async def test_cancel_reverts_at_once_and_for_good(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.ok("<cancel-commit/>")
    assert await client.label() == OLD
    clock.advance(31)
    assert await client.label() == OLD


async def test_nothing_to_cancel(client: Client) -> None:
    assert (await client.error("<cancel-commit/>"))[0] == "operation-failed"
    tag, info = await client.error("<cancel-commit><persist-id>x</persist-id></cancel-commit>")
    assert (tag, info) == ("invalid-value", {"bad-element": "persist-id"})


async def test_lost_session_reverts_at_once(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    client.session.lost()
    assert await other.label() == OLD


async def test_close_session_reverts_at_once(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.ok("<close-session/>")
    assert client.wire.closed
    assert await other.label() == OLD


async def test_killed_session_reverts_at_once(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await other.ok(f"<kill-session><session-id>{client.session.origin.session}</session-id></kill-session>")
    assert await other.label() == OLD
    assert client.wire.aborted


async def test_persist_survives_the_session_but_not_the_time(
    client: Client, other: Client, clock: VirtualClock
) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    client.session.lost()
    assert await other.label() == NEW
    clock.advance(31)
    assert await other.label() == OLD


async def test_persist_is_confirmed_by_another_session(client: Client, other: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    client.session.lost()
    await other.ok("<commit><persist-id>tok</persist-id></commit>")
    clock.advance(1000)
    assert await other.label() == NEW


async def test_persist_is_cancelled_by_another_session(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    await other.ok("<cancel-commit><persist-id>tok</persist-id></cancel-commit>")
    assert await other.label() == OLD


@pytest.mark.parametrize("persist", [None, "tok"])
async def test_running_is_locked_by_none_but_who_awaits_confirmation(
    client: Client, other: Client, persist: str | None
) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist=persist))
    mine = {"session-id": str(client.session.origin.session)}
    assert await other.error(LOCK_RUNNING) == ("lock-denied", mine)
    await client.ok(LOCK_RUNNING)


async def test_who_followed_up_may_lock_running(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    await other.ok(confirmed(30, persist_id="tok"))
    await other.ok(LOCK_RUNNING)
    client.session.lost()
    assert await other.label() == NEW


async def test_blanks_are_part_of_a_token(client: Client, station: Station) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist=" tok\n"))
    for operation in ("commit", "cancel-commit"):
        wrong = f"<{operation}><persist-id>tok</persist-id></{operation}>"
        assert await client.error(wrong) == ("invalid-value", {"bad-element": "persist-id"})
    assert station.server.datastores.waits_under(" tok\n")
    await client.ok("<commit><persist-id> tok\n</persist-id></commit>")


async def test_a_broken_subscriber_stops_neither_commit_nor_revert(
    client: Client, other: Client, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await Client(client.station).greeted()
    await other.ok('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>')
    await broken.ok('<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>')

    def fail(self: Subscription, _content: etree._Element) -> bool:
        if self is broken.session.subscription:
            raise RuntimeError("a bug")
        return True

    monkeypatch.setattr(Subscription, "wants", fail)
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    assert broken.wire.aborted
    clock.advance(31)
    assert await client.label() == OLD
    await other.receive()
    names = [etree.QName(message[1]).localname for message in other.inbox]
    ended = names.pop(names.index("netconf-session-end"))
    assert (ended, names) == ("netconf-session-end", ["netconf-config-change", "netconf-confirmed-commit"] * 2)


async def test_a_commit_that_times_out_reverts_before_anybody_is_told(
    client: Client, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Server, "confirmation", fail)
    with pytest.raises(RuntimeError):
        clock.advance(31)
    assert await client.label() == OLD


@pytest.mark.parametrize("parameter", ["<persist-id>wrong</persist-id>", ""])
async def test_persist_wants_its_token(client: Client, clock: VirtualClock, parameter: str) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    for operation in (f"<commit>{parameter}</commit>", f"<cancel-commit>{parameter}</cancel-commit>"):
        assert await client.error(operation) == ("invalid-value", {"bad-element": "persist-id"})
    assert await client.label() == NEW
    clock.advance(31)
    assert await client.label() == OLD


async def test_another_session_can_neither_confirm_nor_cancel(
    client: Client, other: Client, clock: VirtualClock
) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    mine = {"session-id": str(client.session.origin.session)}
    assert await other.error("<commit/>") == ("in-use", mine)
    assert await other.error("<cancel-commit/>") == ("in-use", mine)
    assert await other.error(confirmed(100)) == ("in-use", mine)
    clock.advance(31)
    assert await client.label() == OLD


async def test_persist_id_without_a_pending_commit_is_refused(client: Client) -> None:
    await client.set_label(NEW)
    tag, _ = await client.error("<commit><persist-id>tok</persist-id></commit>")
    assert tag == "invalid-value"
    assert await client.label() == OLD


async def test_follow_up_by_another_session_keeps_the_token(client: Client, other: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    client.session.lost()
    await other.ok(confirmed(60, persist_id="tok"))
    clock.advance(59)
    await other.ok("<commit><persist-id>tok</persist-id></commit>")
    clock.advance(1000)
    assert await other.label() == NEW


async def test_follow_up_may_change_the_token(client: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    await client.ok(confirmed(30, persist="next", persist_id="tok"))
    assert (await client.error("<commit><persist-id>tok</persist-id></commit>"))[0] == "invalid-value"
    await client.ok("<commit><persist-id>next</persist-id></commit>")


async def test_restart_reverts_even_with_persist(client: Client, station: Station, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    station.restart()
    assert client.wire.aborted
    again = await Client(station).greeted()
    assert await again.label() == OLD
    clock.advance(31)
    assert station.history.counts[EventKind.RUNNING_CHANGED] == 2


async def test_a_commit_that_fails_leaves_the_pending_one_pending(client: Client, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    await client.ok(
        "<edit-config><target><candidate/></target><test-option>set</test-option><config>"
        '<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>T-LTE-1</id>'
        '<ENBFunction xmlns="urn:minka:eutran-nrm"><id>1</id></ENBFunction></ManagedElement></config></edit-config>'
    )
    assert (await client.rpc("<commit/>"))[0].tag.endswith("rpc-error")
    clock.advance(31)
    assert await client.label() == OLD


@pytest.mark.parametrize("timeout", ["0", "-1", "4294967296", "soon", ""])
async def test_wrong_timeouts_are_refused(client: Client, timeout: str) -> None:
    await client.set_label(NEW)
    operation = f"<commit><confirmed/><confirm-timeout>{timeout}</confirm-timeout></commit>"
    assert (await client.error(operation))[0] == "invalid-value"
    assert await client.label() == OLD


@pytest.mark.parametrize("parameter", ["<persist>tok</persist>", "<confirm-timeout>5</confirm-timeout>"])
async def test_parameters_of_a_confirmed_commit_need_confirmed(client: Client, parameter: str) -> None:
    assert (await client.error(f"<commit>{parameter}</commit>"))[0] == "bad-element"


async def test_running_cannot_be_locked_by_others_while_pending(client: Client, other: Client) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    tag, info = await other.error("<lock><target><running/></target></lock>")
    assert (tag, info) == ("lock-denied", {"session-id": str(client.session.origin.session)})
    await client.ok("<lock><target><running/></target></lock>")


async def test_takeover_locks_discards_and_confirms(client: Client, other: Client, clock: VirtualClock) -> None:
    """What whoever takes a dead worker's job over does."""
    await client.ok("<lock><target><candidate/></target></lock>")
    await client.set_label(NEW)
    await client.ok(confirmed(30, persist="tok"))
    client.session.lost()
    await other.ok("<lock><target><candidate/></target></lock>")
    assert await other.error(LOCK_RUNNING) == ("lock-denied", {"session-id": "0"})
    await other.ok("<discard-changes/>")
    await other.ok("<commit><persist-id>tok</persist-id></commit>")
    await other.ok(LOCK_RUNNING)
    clock.advance(31)
    assert await other.label() == NEW


async def test_timer_rollback_undoes_foreign_edits_too(client: Client, station: Station, clock: VirtualClock) -> None:
    await client.set_label(NEW)
    await client.ok(confirmed(30))
    station.datastores.foreign_edit(etree.fromstring(label_config("foreign")))
    assert await client.label() == "foreign"
    clock.advance(31)
    assert await client.label() == OLD
