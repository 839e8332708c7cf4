"""The api process: uvicorn runs the app; parts and token are made at the start."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from controller.api.app import make_app
from controller.api.auth import VES_SOURCES, ensure_token, ensure_webhook_token
from controller.api.intake import Intake
from controller.api.services import Services
from controller.bootstrap import parts
from controller.models.metrics import Figures
from controller.models.process import ProcessRole
from controller.models.rule import RuleMode
from controller.models.settings import Settings
from controller.observe.exposition import ScrapeScope, exposition
from controller.observe.presence import Presence
from controller.performance.kpis import kpis_of
from controller.ports.clock import Clock
from controller.remediation.rules import rules_in_force
from controller.store import Store

if TYPE_CHECKING:
    from controller.api.oidc import Provider

log = structlog.get_logger()


def served_app(settings: Settings, name: str) -> FastAPI:
    """The app, with services that live as long as the server."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with parts(settings, ProcessRole.API) as made:
            await made.take_calls(ProcessRole.API)
            ensure_token(settings.token_file, made.store)
            if settings.webhook_token:
                ensure_webhook_token(settings.webhook_token, made.store, made.clock)
            if settings.ves_token:
                ensure_webhook_token(settings.ves_token, made.store, made.clock, VES_SOURCES, "MINKA_VES_TOKEN")
            measured = made.observations
            presence = Presence(made.loop_store, ProcessRole.API, name, sessions=made.sessions, observations=measured)
            probe = made.write_probe()
            app.state.services = services = Services(
                settings=settings,
                store=made.store,
                devices=made.devices,
                planner=made.planner,
                importer=made.importer(),
                wakeups=made.wakeups,
                clock=made.clock,
                exposition=_exposition(settings, made.store, made.clock, presence.states),
                credentials=made.credentials,
                channels=made.channels(),
                missing_secret=made.secrets.missing,
                provider=_provider(settings, made.clock) if settings.oidc_issuer else None,
                intake=Intake(observations=made.observations),
            )
            async with presence.shown(made.clock), probe.kept_up():
                yield
            await services.unauthenticated.settle(made.store)

    return make_app(lifespan)


def _exposition(
    settings: Settings, store: Store, clock: Clock, own: Callable[[], Mapping[str, Figures]] = dict
) -> Callable[[ScrapeScope], bytes]:
    """The function that makes the page of metrics, with the indicators and rules that are in force then."""

    def page(asked: ScrapeScope) -> bytes:
        kpis, rules = kpis_of(store.definitions.get()), rules_in_force(store)
        modes = {one.name: (RuleMode(one.mode), one.digest) for one in rules}
        interval = settings.health_interval
        return exposition(store, clock, asked, health_interval=interval, kpis=kpis, rules=modes, own=own)

    return page


def _provider(settings: Settings, clock: Clock) -> Provider:
    # Loaded only where an identity provider is configured.
    from controller.api.oidc import Provider  # noqa: PLC0415

    return Provider(settings, clock)


#: The interpreter's switch interval in seconds: an answer waits so long, several times, for costly ones.
_SWITCH = 0.001


def serve(settings: Settings, name: str) -> None:
    """Serve until SIGTERM."""
    sys.setswitchinterval(_SWITCH)
    uvicorn.run(
        served_app(settings, name),
        host=settings.api_host,
        port=settings.api_port,
        http=Connection,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )


#: Seconds for the head of a request (from the connection or first byte on), and for its body (from the head on).
HEAD, BODY = 10.0, 60.0
#: Most connections at once. A further one replaces the one whose request has been incomplete for longest.
MOST = 1000


class Connection(H11Protocol):
    """A connection that is closed if a request comes slowly or not at all, to make room for others."""

    #: Connections with an incomplete request, the oldest first, with the time at which they are closed.
    _owing: dict[Connection, asyncio.TimerHandle] = {}
    _state: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to time the connection."""
        super().connection_made(transport)
        self._owe(HEAD)
        if len(self.connections) > MOST:
            next(iter(self._owing)).give_up("there are too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data, and time the rest of the request."""
        super().data_received(data)
        owed = self.conn.their_state
        if owed not in (h11.IDLE, h11.SEND_BODY):
            self._settle()
        elif owed is not self._state or self not in self._owing:
            self._settle()
            self._owe(HEAD if owed is h11.IDLE else BODY)
        self._state = owed

    def give_up(self, reason: str) -> None:
        """Close the connection without an answer."""
        self._settle()
        log.info("api.connection_closed", client=self.client and self.client[0], reason=reason)
        self.transport.abort()

    def _owe(self, seconds: float) -> None:
        if not self.transport.is_closing():
            reason = f"no whole request came in {seconds:g} s"
            self._owing[self] = self.loop.call_later(seconds, self.give_up, reason)

    def _settle(self) -> None:
        timer = self._owing.pop(self, None)
        if timer is not None:
            timer.cancel()
