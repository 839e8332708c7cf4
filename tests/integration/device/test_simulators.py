"""Against simulated stations: many at once, warm sessions, faults, host keys, credentials."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import asyncssh
import pytest
from asyncssh.constants import MSG_IGNORE
from structlog.testing import capture_logs

from controller.drivers.devices import AllDevices
from controller.drivers.netconf.connect import LightClient, _LightConnection
from controller.drivers.protocols import Notification, session_id
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    HostKeyUnreadableError,
    SessionLostError,
    UnreachableError,
)
from controller.ports.secrets import FakeSecrets
from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.netconf.faults import ANY, Fault, FaultKind
from simulators.ssh import Credentials
from tests.integration.device.conftest import PASSWORD, fleet_of, target_in
from tests.integration.device.edits import cell, function, function_path, rename
from tests.support.secrets import LocalSecrets
from tests.support.sessions import to_station
from tests.support.waiting import until


async def test_two_hundred_stations_at_once(devices: AllDevices) -> None:
    async def work(fleet: Fleet, station: str) -> object:
        async with to_station(devices, target_in(fleet, station)) as session:
            await session.lock()
            await session.edit([*function(station), *cell(station)])
            await session.commit_confirmed("t", 60)
            await session.confirm("t")
            await session.unlock()
            return (await session.read()).tree[function_path(station)]["eNBName"]

    async with fleet_of(200) as fleet:
        names = await asyncio.gather(*(work(fleet, station) for station in fleet.stations))
        assert names == ["first"] * 200
        assert devices.counts == {"in-use": 0, "idle": 200, "subscribed": 0}
        assert all(len(station.server.sessions) == 1 for station in fleet.stations.values())


async def test_a_second_reading_shares_with_the_first_what_stayed(devices: AllDevices, fleet: Fleet) -> None:
    async with devices.session(target_in(fleet, "S-0")) as session:
        await session.edit([*function("S-0"), *cell("S-0")])
        await session.commit()
        first = (await session.read()).tree
        await session.edit([rename("S-0", "first", "second")])
        await session.commit()
        second = (await session.read()).tree
    assert list(map(id, second)) == list(map(id, first))
    assert [path for path in second if second[path] is not first[path]] == [function_path("S-0")]


# ------------------------------------------------------------------ warm sessions


async def test_a_session_is_reused_and_has_one_caller_at_a_time(devices: AllDevices, fleet: Fleet) -> None:
    target, ids, inside = target_in(fleet, "S-0"), set(), 0

    async def use() -> None:
        nonlocal inside
        async with to_station(devices, target) as session:
            inside += 1
            assert inside == 1
            ids.add(session.session_id)
            await session.read()
            inside -= 1

    await asyncio.gather(*(use() for _ in range(5)))
    assert len(ids) == 1


async def test_a_station_whose_session_is_in_use_is_looked_at_aside(devices: AllDevices, fleet: Fleet) -> None:
    target = target_in(fleet, "S-0")
    async with to_station(devices, target) as held:
        await held.lock()
        async with asyncio.timeout(60), devices.aside(target) as beside:
            assert session_id(beside) != held.session_id
            assert (await beside.read()).tree == (await held.read()).tree
            assert devices.counts["in-use"] == 2
        assert devices.counts["in-use"] == 1
        await held.unlock()
        kept = held.session_id
    async with devices.aside(target) as warm:
        assert session_id(warm) == kept
    assert devices.counts == {"in-use": 0, "idle": 1, "subscribed": 0}


async def test_a_session_that_failed_or_kept_a_lock_is_not_reused(devices: AllDevices, fleet: Fleet) -> None:
    target = target_in(fleet, "S-0")
    ids = []

    async def fail() -> None:
        async with to_station(devices, target) as session:
            ids.append(session.session_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with to_station(devices, target) as session:
        ids.append(session.session_id)
        await session.lock()
    async with to_station(devices, target) as session:
        ids.append(session.session_id)
        await session.lock()
        await session.unlock()
    assert len(set(ids)) == 3


async def test_a_warm_session_that_died_meanwhile_is_replaced(devices: AllDevices, fleet: Fleet) -> None:
    target = target_in(fleet, "S-0")
    async with to_station(devices, target) as session:
        first = session.session_id
    _, known = devices.stations._idle["S-0"]
    for warm in list(fleet.stations["S-0"].server.sessions.values()):
        warm.drop()
    await until(lambda: not known.reusable)
    async with to_station(devices, target) as session:
        assert session.session_id != first
        await session.read()


async def test_a_target_that_changed_is_connected_anew(devices: AllDevices, fleet: Fleet) -> None:
    async with devices.session(target_in(fleet, "S-0")):
        pass
    elsewhere = replace(target_in(fleet, "S-1"), device="S-0")
    async with devices.session(elsewhere):
        assert len(fleet.stations["S-1"].server.sessions) == 1


async def test_the_number_of_sessions_is_bounded(fleet: Fleet) -> None:
    devices = AllDevices(LocalSecrets(), limit=2)
    for station in fleet.stations:
        async with devices.session(target_in(fleet, station)):
            assert sum(devices.counts.values()) <= 2
    assert devices.counts["idle"] == 2
    async with devices.session(target_in(fleet, "S-0")), devices.session(target_in(fleet, "S-1")):
        third = asyncio.ensure_future(_read(devices, fleet, "S-2"))
        await asyncio.sleep(0.2)
        assert not third.done()
    await third
    await devices.close()
    await until(lambda: not any(station.server.sessions for station in fleet.stations.values()))


async def _read(devices: AllDevices, fleet: Fleet, station: str) -> None:
    async with devices.session(target_in(fleet, station)) as session:
        await session.read()


# -------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.DROP_BEFORE,
        FaultKind.DROP_AFTER,
        FaultKind.LOSE_REPLY,
        FaultKind.GARBAGE_FRAME,
        FaultKind.TRUNCATED_FRAME,
        FaultKind.OVERSIZED_CHUNK,
    ],
)
async def test_an_answer_that_never_comes_whole_is_a_lost_session(
    devices: AllDevices, fleet: Fleet, kind: FaultKind
) -> None:
    impatient = AllDevices(LocalSecrets(), rpc_timeout=0.5)
    target = target_in(fleet, "S-0")
    fleet.stations["S-0"].faults.inject(Fault(kind, "commit"))

    async def commit() -> None:
        async with to_station(impatient, target) as session:
            await session.commit_confirmed("t", 60)

    async with devices.session(target) as session:
        await session.edit(function("S-0"))
        with pytest.raises(SessionLostError):
            await commit()
        carried_out = function_path("S-0") in (await session.read()).tree
        # Nobody can tell without reading back: some of these were carried out.
        assert carried_out is (kind is not FaultKind.DROP_BEFORE)
    await impatient.close()


async def test_a_warning_before_an_error_is_an_error(devices: AllDevices, fleet: Fleet) -> None:
    fleet.stations["S-0"].faults.inject(Fault(FaultKind.WARNING_BEFORE_ERROR, "commit"))
    async with devices.session(target_in(fleet, "S-0")) as session:
        await session.edit(function("S-0"))
        with pytest.raises(DeviceRefusedError):
            await session.commit()


async def test_an_ok_without_effect_shows_only_in_the_read_back(devices: AllDevices, fleet: Fleet) -> None:
    fleet.stations["S-0"].faults.inject(Fault(FaultKind.OK_WITHOUT_EFFECT, "commit"))
    async with devices.session(target_in(fleet, "S-0")) as session:
        await session.edit(function("S-0"))
        await session.commit()
        assert function_path("S-0") not in (await session.read()).tree


async def test_a_station_that_refuses_sessions_is_unreachable(devices: AllDevices, fleet: Fleet) -> None:
    fleet.stations["S-0"].faults.inject(Fault(FaultKind.REFUSE_SESSIONS, ANY))
    with pytest.raises(UnreachableError, match="S-0"):
        await _read(devices, fleet, "S-0")
    await _read(devices, fleet, "S-0")


async def test_nobody_listens_there(devices: AllDevices, fleet: Fleet) -> None:
    with pytest.raises(UnreachableError, match="can't be reached"):
        async with devices.session(replace(target_in(fleet, "S-0"), port=1)):
            pass


async def test_a_server_that_says_nothing_is_unreachable(fleet: Fleet) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    devices = AllDevices(LocalSecrets(), connect_timeout=0.3)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(UnreachableError, match="in time"):
        async with devices.session(replace(target_in(fleet, "S-0"), port=port)):
            pass
    server.close()


# --------------------------------------------------------- host keys (fault 32), users


async def test_a_changed_host_key_is_refused_before_authentication(devices: AllDevices, fleet: Fleet) -> None:
    station = fleet.stations["S-0"]
    station.faults.inject(Fault(FaultKind.CHANGED_HOST_KEY, ANY))
    with pytest.raises(HostKeyError, match="S-0"):
        await _read(devices, fleet, "S-0")
    assert station.history.counts[EventKind.AUTHENTICATION_FAILED] == 0
    assert station.history.counts[EventKind.SESSION_OPENED] == 0
    # The pin is not learnt again either way: the old key is still the one.
    await _read(devices, fleet, "S-0")


async def test_a_host_key_of_another_type_is_a_changed_key_and_no_user_is_named() -> None:
    asked: list[str] = []

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            asked.append(username)
            return True

    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    listener = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key])
    devices = AllDevices(LocalSecrets())
    async with fleet_of(1) as fleet:
        with pytest.raises(HostKeyError):
            async with devices.session(replace(target_in(fleet, "S-0"), port=listener.get_port())):
                pass
    listener.close()
    assert asked == []


async def test_a_pin_that_is_no_key_opens_nothing(devices: AllDevices, fleet: Fleet) -> None:
    with pytest.raises(HostKeyUnreadableError, match="can't be read"):
        async with devices.session(replace(target_in(fleet, "S-0"), host_key="ssh-ed25519 AAAA")):
            pass
    assert fleet.stations["S-0"].history.counts[EventKind.SESSION_OPENED] == 0


async def test_a_wrong_password_is_an_authentication_error(fleet: Fleet) -> None:
    devices = AllDevices(FakeSecrets({"device": "wrong"}))
    with pytest.raises(AuthenticationError, match="device"):
        await _read(devices, fleet, "S-0")
    assert fleet.stations["S-0"].history.counts[EventKind.AUTHENTICATION_FAILED] == 1


async def test_a_secret_that_leads_nowhere_is_an_authentication_error(fleet: Fleet) -> None:
    with pytest.raises(AuthenticationError, match="leads nowhere"):
        await _read(AllDevices(FakeSecrets({"device": None})), fleet, "S-0")


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_file_with_a_private_key_logs_in_by_key(tmp_path: Path, kind: str) -> None:
    key = asyncssh.generate_private_key(kind)
    key.write_private_key(tmp_path / "key")
    public = key.export_public_key().decode()
    credentials = Credentials(password=None, authorized_keys=(public,))
    async with (
        fleet_of(1, FleetSettings(credentials=credentials)) as fleet,
        AllDevices(LocalSecrets(key=f"file:{tmp_path / 'key'}")).session(target_in(fleet, "S-0", "key")) as session,
    ):
        await session.read()


async def test_a_file_with_a_password_logs_in_by_password(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    devices = AllDevices(LocalSecrets(word=f"file:{tmp_path / 'password'}"))
    async with devices.session(target_in(fleet, "S-0", "word")) as session:
        await session.read()


# ------------------------------------------------------------------ secrets (fault 35)

CANARY = "canary-7f3a9c1e-secret"


def _everything_about(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True, compact=False)
    return "".join(shown.format()) + repr(error) + str(error) + repr(vars(error))


async def _provoke(devices: AllDevices, fleet: Fleet, credential: str) -> list[BaseException]:
    """Every way in which opening and working can fail."""
    good = target_in(fleet, "S-0", credential)
    errors: list[BaseException] = []
    for target in (good, replace(good, port=1), replace(good, host_key=fleet.endpoint("S-1").host_key)):
        try:
            async with devices.session(target) as session:
                await session.edit([rename("S-0", "first", "second")])
        except DeviceError as error:
            errors.append(error)
    return errors


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("shape", ["password", "key", "broken key"])
async def test_no_secret_leaves_the_process(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, shape: str, accepted: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncssh.set_debug_level(3)
    key = asyncssh.generate_private_key("ssh-ed25519")
    text = key.export_private_key().decode()
    secret = {"password": CANARY, "key": text, "broken key": text.replace("OPENSSH", "RSA")}[shape]
    canaries = [CANARY, *secret.splitlines()[1:3]]
    (tmp_path / "secret").write_text(secret)
    devices = AllDevices(LocalSecrets(canary=f"file:{tmp_path / 'secret'}"))
    keys = (key.export_public_key().decode(),) if accepted else ()
    credentials = Credentials(password=CANARY if accepted else "another", authorized_keys=keys)
    try:
        with capture_logs() as events:
            async with fleet_of(2, FleetSettings(credentials=credentials)) as fleet:
                errors = await _provoke(devices, fleet, "canary")
                await devices.close()
    finally:
        asyncssh.set_debug_level(1)
    assert len(errors) == 3
    seen = [*map(_everything_about, errors), caplog.text, repr(events), repr(devices), repr(vars(devices))]
    for canary in canaries:
        assert not [text for text in seen if canary in text]
    # A broken key is refused before anything is logged; otherwise silence would mean that the test shows nothing.
    assert caplog.text or shape == "broken key"


# ------------------------------------------------------------------- notifications


async def test_changes_are_notified_on_a_session_of_their_own(devices: AllDevices, fleet: Fleet) -> None:
    target = target_in(fleet, "S-0")
    stream = devices.notifications(target)
    first = asyncio.ensure_future(_next(stream, "netconf-config-change"))
    while not any(session.subscription is not None for session in fleet.stations["S-0"].server.sessions.values()):
        await asyncio.sleep(0.01)
    async with devices.session(target) as session:
        await session.edit(function("S-0"))
        await session.commit()
    notification = await asyncio.wait_for(first, 60)
    assert notification.station == "S-0"
    assert notification.name == "{urn:ietf:params:xml:ns:yang:ietf-netconf-notifications}netconf-config-change"
    assert isinstance(notification.at, datetime)
    assert notification.at.tzinfo is not None
    for open_session in list(fleet.stations["S-0"].server.sessions.values()):
        open_session.drop()
    with pytest.raises(SessionLostError):
        await asyncio.wait_for(_next(stream, "nothing more"), 5)


async def _next(stream: AsyncIterator[Notification], name: str) -> Notification:
    """The next notification of this name; those of sessions that open and close pass by."""
    while not (notification := await anext(stream)).name.endswith(f"}}{name}"):
        pass
    return notification


async def test_packets_that_say_nothing_are_not_sent(
    devices: AllDevices, fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    asyncssh.set_debug_level(3)
    try:
        async with devices.session(target_in(fleet, "S-0")) as session:
            caplog.set_level(logging.DEBUG)
            await session.read()
    finally:
        asyncssh.set_debug_level(1)
    # The station runs in this process too, and says what it receives.
    received = [record.getMessage() for record in caplog.records if "Received" in record.getMessage()]
    assert any("MSG_CHANNEL_DATA" in message for message in received)
    assert not any("MSG_IGNORE" in message for message in received)


async def test_many_sessions_asked_for_at_once_are_opened_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.drivers.netconf.connect._OPENING", 10)
    devices = AllDevices(FakeSecrets({"device": PASSWORD}), connect_timeout=10)
    most = 0

    async def read(fleet: Fleet, station: str) -> None:
        async with devices.session(target_in(fleet, station)) as session:
            await session.read()

    async with fleet_of(100) as fleet:
        tasks = [asyncio.ensure_future(read(fleet, f"S-{number}")) for number in range(100)]
        while not all(task.done() for task in tasks):
            most = max(most, len(fleet.pending_logins))
            await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        await devices.close()
    assert 0 < most <= 10


async def test_no_packet_goes_out_only_to_be_ignored(
    devices: AllDevices, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncssh sends one before each of its own; whoever moves its pinned release sees here whether ours still do."""
    ignored: list[object] = []
    handlers = asyncssh.SSHServerConnection._packet_handlers
    monkeypatch.setitem(handlers, MSG_IGNORE, lambda *_: ignored.append(1))
    target = target_in(fleet, "S-0")
    async with devices.session(target) as session:
        await session.read()
    assert not ignored
    plain = await asyncssh.connect(target.address, target.port, username="minka", password=PASSWORD, known_hosts=None)
    plain.abort()
    assert ignored


async def test_a_connection_is_probed_when_it_was_silent_for_long_and_not_before() -> None:
    """The timer of keepalives is ours (see ``LightClient``); what it sets off is asyncssh's."""
    made: list[asyncssh.SSHServerConnection] = []

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            made.append(conn)

        def begin_auth(self, _username: str) -> bool:
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key])
    client = await asyncssh.connect(
        "127.0.0.1",
        listener.get_port(),
        client_factory=LightClient,
        known_hosts=None,
        keepalive_interval=3600,
        keepalive_count_max=1,
    )
    assert isinstance(client, _LightConnection)
    client._keepalive_timer_callback()  # too early, as after something was received
    assert client._keepalive_timer is not None
    assert client._keepalive_timer.when() == client._heard + 3600
    assert client._keepalive_count == 0
    client._heard -= 3600
    client._keepalive_timer_callback()
    assert client._keepalive_count == 1
    await until(lambda: client._keepalive_count == 0)  # it was answered
    made[0]._transport.pause_reading()  # type: ignore[union-attr]
    for _ in range(2):
        client._heard -= 3600
        client._keepalive_timer_callback()
    await client.wait_closed()
    listener.close()
    made[0].abort()
