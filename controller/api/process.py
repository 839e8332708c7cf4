"""The api process: uvicorn runs the app; parts and token are made at the start."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
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


class Debt(Enum):
    """What a client owes: the head of a request, its body, or to take what it was answered."""

    HEAD = "no head of a request came"
    BODY = "no whole body came"
    ANSWER = "the client took nothing of its answer"


#: Seconds to wait: for a head, from the connection or the answer before on; for a body, from the head on; and until a
#: client takes some more of an answer.
PATIENCE = {Debt.HEAD: 10.0, Debt.BODY: 60.0, Debt.ANSWER: 30.0}
#: Most connections at once. A further one replaces the one whose client has let us wait for longest.
MOST = 1000
#: Bytes that the kernel keeps unsent. If it kept megabytes, nobody could see for minutes whether a slow client reads.
_UNSENT = 16 * 2**10


class Connection(H11Protocol):
    """A connection that is closed if its client lets us wait, to make room for others.

    A client that takes its answer slowly is waited for as long as it takes some. Its next request begins when it has
    taken all before, so that no request under way waits for a client, but for streams and files.
    """

    #: Connections whose client owes something, the oldest debt first, with the time at which it is claimed.
    _owing: dict[Connection, asyncio.TimerHandle] = {}
    _debt: Debt | None = None
    #: Bytes of the answer that the client had still to take when that was last looked at.
    _left = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to time the connection."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        self.app = partial(self._in_order, self.app)
        self._time()
        if len(self.connections) > MOST:
            while not next(iter(self._owing))._claim("there are too many connections"):
                pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection ended."""
        self._settle()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data, and time the rest of the request."""
        super().data_received(data)
        self._time()

    def on_response_complete(self) -> None:
        """Time how the client takes the rest of the answer, and then the next request."""
        self.transport.set_write_buffer_limits(0)
        super().on_response_complete()
        self._time()

    def pause_writing(self) -> None:
        """Wait until the client has taken some: of a stream, or before its next request begins."""
        super().pause_writing()
        self._left = self.transport.get_write_buffer_size()
        self._time()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._time()

    def give_up(self, reason: str) -> None:
        """Close the connection without an answer, or without the rest of it."""
        self._settle()
        log.info("api.connection_closed", client=self.client and self.client[0], reason=reason)
        self.transport.abort()

    async def _in_order(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin a request once the client has taken all answers before: its own, if in one piece, then never waits."""
        await self.flow.drain()
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits()
            await app(scope, receive, send)

    def _owed(self) -> Debt | None:
        if self.flow.write_paused:
            return Debt.ANSWER
        if self.transport.is_closing():
            return None
        return {h11.IDLE: Debt.HEAD, h11.SEND_BODY: Debt.BODY}.get(self.conn.their_state)

    def _time(self) -> None:
        """Time what the client owes now, unless it owed that before."""
        before, self._debt = self._debt, self._owed()
        if self._debt is not before:
            self._settle()
            if self._debt is not None:
                self._wait(self._debt)

    def _wait(self, debt: Debt) -> None:
        seconds = PATIENCE[debt]
        self._owing[self] = self.loop.call_later(seconds, self._claim, f"{debt.value} in {seconds:g} s")

    def _claim(self, reason: str) -> bool:
        """Give the connection up, unless its client has taken some of its answer since this was last asked."""
        left, self._left = self._left, self.transport.get_write_buffer_size()
        self._settle()
        if self._debt is Debt.ANSWER and self._left < left:
            self._wait(self._debt)
            return False
        self.give_up(reason)
        return True

    def _settle(self) -> None:
        timer = self._owing.pop(self, None)
        if timer is not None:
            timer.cancel()
