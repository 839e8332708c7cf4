"""A station of ours in virtual time, for sequences."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from simulators.clock import VirtualClock
from simulators.netconf.profiles import PROFILES
from simulators.station import StationSettings
from tests.conformance.netconf.sequences import BASE, STATION
from tests.unit.simulators.netconf.bench import Client, make_station, run_loop


class VirtualPlayer:
    """See ``Player``."""

    def __init__(self, profile: str) -> None:
        self._clock = VirtualClock()
        self._station = make_station(self._clock, StationSettings(profile=PROFILES[profile]), STATION)
        self._clients: dict[str, Client] = {}

    @property
    def ids(self) -> Mapping[str, int]:
        return {name: client.session.origin.session for name, client in self._clients.items()}

    async def open(self, session: str, user: str, base: str) -> None:
        self._clients[session] = await Client(self._station, chunked=base == "1.1", user=user).greeted()

    async def send(self, session: str, message: str) -> etree._Element | None:
        client = self._clients[session]
        assert not client.wire.aborted
        assert not client.wire.closed
        client.send(message.encode())
        await client.receive()
        for at, found in enumerate(client.inbox):
            if found.tag == f"{{{BASE}}}rpc-reply":
                return client.inbox.pop(at)
        return None

    async def drop(self, session: str) -> None:
        self._clients[session].session.lost()

    async def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        await run_loop()

    async def foreign(self, config: etree._Element) -> None:
        self._station.datastores.foreign_edit(config)

    async def restart(self) -> None:
        self._station.restart()

    async def notifications(self) -> list[tuple[str, etree._Element]]:
        found = []
        for name, client in self._clients.items():
            if not client.wire.aborted:
                await client.receive()
            found += [(name, notification) for notification in client.inbox]
            client.inbox.clear()
        return found
