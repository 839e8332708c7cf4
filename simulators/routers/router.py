"""One simulated cell-site router: running and startup configuration, timed reload, sessions, faults, history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from simulators.clock import Clock, Timer
from simulators.history import ITSELF, NO_SESSION, EventKind, History, Origin
from simulators.network import RouterRecord
from simulators.routers import configure, forwarding
from simulators.routers import configure as configure_interface
from simulators.routers.addresses import NULL
from simulators.routers.config import RouterConfig, text_of
from simulators.routers.configure import Change, Editor
from simulators.routers.factory import management_address
from simulators.routers.faults import CONFIGURATION_FAULTS, SAVE_FAULTS, RouterFault, RouterFaultKind, RouterFaults
from simulators.routers.grammar import CommandError, Match

#: The modules whose lines ``Editor`` knows once they are loaded.
COMMANDS = (configure, configure_interface)
_REFUSED = "% Command rejected: the platform has no resources for it"
_REFUSED_PLAINLY = "Command rejected: hardware resources exhausted"


class UnknownPortError(Exception):
    """A router has no such port."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """Settings of a router, including its delays.

    Attributes:
        enable_password: Sessions start unprivileged and need it; None means that they start privileged.
        reload_seconds: Seconds for which a reload makes the router unreachable.
        idle_seconds: Seconds without a line after which a session is closed.
        prompt_seconds: Delay of every prompt.
    """

    enable_password: str | None = None
    reload_seconds: float = 90.0
    idle_seconds: float = 600.0
    prompt_seconds: float = 0.0


class SessionHandle(Protocol):
    """What a router needs of its sessions."""

    origin: Origin

    def drop(self) -> None:
        """Drop the session at once."""


class Surroundings(Protocol):
    """What a router needs of the network around it."""

    def on_net(self, site: str) -> bool:
        """Whether the backhaul of a site is connected."""

    def answers(self, site: str, address: int) -> bool:
        """Whether a station of the site or a core node has this address, and can be reached from there."""

    def router_changed(self, router: Router) -> None:
        """Note that a router's forwarding or reachability may have changed."""


@dataclass(frozen=True, slots=True)
class PlannedReload:
    """A scheduled reload."""

    due: datetime
    timer: Timer
    reason: str


class Router:
    """A router; its commands take effect at once and in order, and only sessions wait.

    Args:
        seed: Decides which of its faults strike by chance.
        factory: Makes its factory configuration on first use.
    """

    def __init__(
        self,
        record: RouterRecord,
        clock: Clock,
        settings: RouterSettings,
        *,
        seed: str,
        factory: Callable[[], RouterConfig],
        surroundings: Surroundings,
    ) -> None:
        self.record = record
        self.clock = clock
        self.settings = settings
        self.booted = clock.monotonic()
        self.reloading = False
        self.reload: PlannedReload | None = None
        self.revision = 0
        self._seed = seed
        self._factory = factory
        self._surroundings = surroundings
        self._running: RouterConfig | None = None
        self._startup: RouterConfig | None = None
        self._sessions_so_far = 0
        #: Ports behind which the tenants' paths are lost.
        self._lost: frozenset[str] = frozenset()
        #: Lost ports without a signal.
        self._dark: frozenset[str] = frozenset()

    # Made on first use, since most routers of a fleet never need it.

    @property
    def id(self) -> str:
        """Its id in the network files."""
        return self.record.id

    @cached_property
    def faults(self) -> RouterFaults:
        """Its injected faults."""
        return RouterFaults(f"{self._seed}:{self.id}")

    @cached_property
    def history(self) -> History:
        """Its history so far."""
        return History(self.id, self.clock)

    @cached_property
    def sessions(self) -> dict[int, SessionHandle]:
        """Open sessions by number."""
        return {}

    # --------------------------------------------------------- configuration

    @property
    def running(self) -> RouterConfig:
        """The configuration in effect."""
        if self._running is None:
            self._running = self._startup = self._factory()
        return self._running

    @property
    def startup(self) -> RouterConfig:
        """The configuration after a reload."""
        return self.running if self._startup is None else self._startup

    @property
    def in_effect(self) -> RouterConfig:
        """The configuration as packets meet it: ports without a signal are down."""
        known = self.running.interfaces
        dark = {name: replace(known[name], dark=True) for name in self._dark & known.keys()}
        return replace(self.running, interfaces={**known, **dark}) if dark else self.running

    def apply(self, editor: Editor, match: Match[Change], origin: Origin, line: str, number: int = 0) -> str:
        """Apply one configuration line, with its number in the session; return its output.

        Raises:
            CommandError: it is refused; nothing changed, earlier lines stay.
        """
        for fault in self.take_faults(CONFIGURATION_FAULTS, origin, match.name, number):
            if fault.kind is RouterFaultKind.SWALLOW_LINE:
                return ""
            text = _REFUSED if fault.kind is RouterFaultKind.REFUSE_LINE else _REFUSED_PLAINLY
            raise CommandError(text)
        self._change(editor.apply(match, self.running), origin, line=line.strip())
        return editor.notice

    def foreign_edit(self, lines: Iterable[str], user: str = "technician") -> None:
        """Apply configuration lines without a session.

        Raises:
            CommandError: a line is refused; those before it stay applied.
        """
        editor, origin = Editor(), Origin(NO_SESSION, user)
        for line in lines:
            if line.strip() and not line.lstrip().startswith("!"):
                match = editor.match(line)
                self._change(editor.apply(match, self.running), origin, line=line.strip())

    @property
    def saved(self) -> RouterConfig | None:
        """The configuration that a power cut leaves; none while it is the one that it comes with."""
        return self._startup

    def saved_text(self) -> str:
        """That configuration as lines to type in."""
        return text_of(self.startup)

    def load_saved(self, text: str) -> None:
        """Start with the configuration of an earlier run. Raises ValueError if a line is unknown."""
        editor, config = Editor(), RouterConfig()
        try:
            for line in text.splitlines():
                if line.strip() not in ("", "!", "end"):
                    config = editor.apply(editor.match(line), config)
        except CommandError as error:
            raise ValueError(f"{line.strip()}: {error}") from error
        self._running = self._startup = config
        self._surroundings.router_changed(self)

    def save(self, origin: Origin) -> bool:
        """Copy running to startup; return whether the router prints OK, which may be wrong."""
        for fault in self.take_faults(SAVE_FAULTS, origin, "write"):
            return fault.kind is RouterFaultKind.SAVE_LIES
        self._startup = self.running
        self.history.record(EventKind.SAVED, origin, revision=self.revision)
        return True

    def _change(self, config: RouterConfig, origin: Origin, **detail: Any) -> None:
        if config == self.running:
            return
        self._running = config
        self.revision += 1
        self.history.record(EventKind.RUNNING_CHANGED, origin, revision=self.revision, **detail)
        self._surroundings.router_changed(self)

    # ---------------------------------------------------------------- reload

    def plan_reload(self, minutes: int, reason: str, origin: Origin) -> PlannedReload:
        """Reload after so many minutes unless it is cancelled; a new plan replaces the old one."""
        self.cancel_reload(ITSELF)
        due = self.clock.now() + timedelta(minutes=minutes)
        self.reload = PlannedReload(due, self.clock.call_later(minutes * 60.0, self.restart), reason)
        self.history.record(EventKind.RELOAD_PLANNED, origin, due=due.isoformat())
        return self.reload

    def cancel_reload(self, origin: Origin) -> bool:
        """Cancel the scheduled reload; return whether there was one."""
        if self.reload is None:
            return False
        self.reload.timer.cancel()
        self.reload = None
        if origin is not ITSELF:
            self.history.record(EventKind.RELOAD_CANCELLED, origin)
        return True

    def restart(self) -> None:
        """Lose power: startup becomes running, sessions are gone, and it takes a while to start again."""
        self.cancel_reload(ITSELF)
        self.reloading = True
        self.history.record(EventKind.RESTARTED, ITSELF)
        self._surroundings.router_changed(self)
        for session in list(self.sessions.values()):
            session.drop()
        self._change(self.startup, ITSELF, line="reload")
        self.clock.call_later(self.settings.reload_seconds, self._up_again)

    def _up_again(self) -> None:
        self.reloading = False
        self.booted = self.clock.monotonic()
        self._surroundings.router_changed(self)

    # -------------------------------------------------------------- sessions

    def next_session_id(self) -> int:
        """A session number that this router never used."""
        self._sessions_so_far += 1
        return self._sessions_so_far

    def session_opened(self, session: SessionHandle) -> None:
        """Add a session."""
        self.sessions[session.origin.session] = session
        self.history.record(EventKind.SESSION_OPENED, session.origin)

    def session_closed(self, session: SessionHandle) -> None:
        """Remove a session."""
        if self.sessions.pop(session.origin.session, None) is not None:
            self.history.record(EventKind.SESSION_CLOSED, session.origin)

    def close(self) -> None:
        """End with the fleet: drop all sessions and cancel the reload."""
        self.cancel_reload(ITSELF)
        for session in list(self.sessions.values()):
            session.drop()

    # --------------------------------------------------------------- the rest

    @property
    def reachable(self) -> bool:
        """Whether the router's own state lets its management address be reached."""
        return not self.reloading and (
            self._running is None or forwarding.manageable(self.in_effect, management_address(self.record.address))
        )

    def carries(self, vlan: int, local: int, remote: int) -> bool:
        """Whether it connects a station to a core node by this VLAN."""
        return not self.reloading and forwarding.carries(self.in_effect, vlan, local, remote, self._lost)

    def lose_path(self, port: str, *, signal: bool = False) -> None:
        """Drop all packets that leave by a port's VLANs, while the port stays up and management works.

        With its ``signal`` lost, the port goes down too.

        Raises:
            UnknownPortError: there is no such port.
        """
        self._known(port)
        self._lost |= {port}
        self._dark |= {port} if signal else set()
        self._surroundings.router_changed(self)

    def restore_path(self, port: str) -> None:
        """Stop dropping these packets.

        Raises:
            UnknownPortError: there is no such port.
        """
        self._known(port)
        self._lost, self._dark = self._lost - {port}, self._dark - {port}
        self._surroundings.router_changed(self)

    def _known(self, port: str) -> None:
        ports = sorted(name for name in self.running.interfaces if "." not in name)
        if port not in ports:
            raise UnknownPortError(f"{self.id} has no port {port}; its ports are {', '.join(ports)}")

    def pings(self, vrf: str, address: int) -> bool:
        """Whether an echo request from this table is answered."""
        config = self.in_effect
        own = ((name, i.address.address) for name, i in config.interfaces.items() if i.vrf == vrf and i.address)
        if any(mine == address and forwarding.is_up(config, name) for name, mine in own):
            return True
        entry = forwarding.lookup(forwarding.table(config, vrf), address)
        if entry is None or entry.interface == NULL:
            return False
        next_hops = {route.next_hop for route in config.routes if route.vrf == vrf}
        neighbour = entry.route is None and address in next_hops and self._surroundings.on_net(self.record.site)
        return neighbour or self._surroundings.answers(self.record.site, address)

    def take_faults(
        self, kinds: frozenset[RouterFaultKind], origin: Origin, command: str = "", line: int = 0
    ) -> tuple[RouterFault, ...]:
        """The faults that strike now; they are recorded."""
        if "faults" not in self.__dict__:
            return ()
        struck = self.faults.take(kinds, command, line)
        for fault in struck:
            self.history.record(EventKind.FAULT_STRUCK, origin, fault=fault.kind.value, command=command)
        return struck

    def summary(self) -> dict[str, Any]:
        """A summary of the router."""
        return {
            "router": self.id,
            "site": self.record.site,
            "revision": self.revision,
            "saved": self.running == self.startup,
            "sessions": len(self.sessions),
            "reachable": self.reachable,
            "reload_due": None if self.reload is None else self.reload.due.isoformat(),
            "lost_paths": sorted(self._lost),
            "faults": len(self.faults),
            "counts": {kind.value: count for kind, count in sorted(self.history.counts.items())},
        }
