"""Routers: sessions that read device trees and apply edits over a command line, and the pool that opens them.

netmiko blocks, so sessions work in a bounded number of threads, one at a time for each router.

Edits are collected and typed at the commit. Each line takes effect by itself, so after a refused line those before it
stay in force; the caller reads the router and takes them back.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from controller.drivers.address import address_of
from controller.drivers.cli.codec import command_lines, port_states, read_config
from controller.drivers.cli.target import CliTarget
from controller.drivers.protocols import Capabilities, Check, Observed
from controller.models.behaviour import FollowUp
from controller.models.errors import (
    DeviceError,
    DeviceRefusedError,
    NotFoundError,
    SessionLostError,
    UnreachableError,
    in_words,
)
from controller.models.metrics import Observations
from controller.models.plan import Edit
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec, router_profile
from controller.nrm.tree import Tree, child, is_below, step
from controller.ports.secrets import Secrets

if TYPE_CHECKING:
    from controller.drivers.cli.line import CliLine

_T = TypeVar("_T")

_CONFIRM = r"\[confirm\]"
_SAVE = r"\[yes/no\]: ?"
#: Lines that differ between running and startup without a difference in configuration.
_HEADS = re.compile(r"!.*|Building configuration.*|Current configuration.*|Using \d+ out of.*|ntp clock-period.*|")
#: FRRouting's daemons that hold the configuration we read, by the major version that introduced them.
_DAEMONS = {"zebra": 0, "staticd": 0, "mgmtd": 9}
#: Daemons that get their lines from mgmtd, and since which major version.
_CLIENTS = {"staticd": 9, "zebra": 10}
#: A daemon under watchfrr, and its state.
_WATCHED = re.compile(r"^ {2}(\w+) +(\w+)", re.MULTILINE)
_FRR_VERSION = re.compile(r"^frr version (\d{1,9})", re.MULTILINE)
_SHOW_RUNNING, _SHOW_STARTUP = "show running-config", "show startup-config"


class CliSession:
    """One session; implements ``controller.drivers.protocols.DeviceSession``, ``ConfirmedCommit`` and ``Startup``.

    Nothing is locked, since not all platforms can: the lease keeps our own sessions apart.

    Args:
        target: The router.
        line: Its connection.
        again: Opens another connection, to prove that the router is still reachable.
        threads: Run the blocking calls.
    """

    def __init__(self, target: CliTarget, line: CliLine, again: Callable[[], CliLine], threads: Executor) -> None:
        profile = router_profile(target.profiles)
        if profile is None:
            raise NotFoundError(f"{target.device}: {', '.join(target.profiles)} is not a router platform")
        self._target = target
        self._profile = profile
        self._root = root_spec(target.profiles)
        self._line = line
        self._again = again
        self._threads = threads
        self._staged: Tree | None = None
        self._seen: Tree = {}
        self._timed = False

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return Capabilities(
            candidate=False,
            confirmed_commit=False,
            writable_running=True,
            startup=True,
            validate=False,
            atomic=False,
            timed_reload=self._profile.virtual,
        )

    async def discard(self) -> None:
        """Forget the edits that were not committed."""
        self._staged = None

    async def read(self) -> Observed:
        """See ``DeviceSession.read``."""
        observed = await self._in_thread(self._read)
        self._seen = observed.tree
        return observed

    async def edit(self, edits: Sequence[Edit]) -> None:
        """Collect edits; nothing is sent before the commit.

        Raises:
            DeviceRefusedError: The platform can't carry them out, or couldn't take them back line by line.
        """
        wanted = apply_edits(self._root, self._seen if self._staged is None else self._staged, edits)
        for before, after in ((self._seen, wanted), (wanted, self._seen)):
            command_lines(self._profile, before, after)
        self._staged = wanted

    async def commit(self, check: Check | None = None) -> None:
        """Type the collected edits, all at once.

        Raises:
            DeviceRefusedError: A line was refused, or the edits could cut our way to the router.
        """
        if own := self._own_way():
            raise DeviceRefusedError(f"{own} has the address that Minka connects to: it is not changed")
        await self._type()

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - the device's timer
        """Schedule a reload, which drops unsaved lines unless ``confirm`` comes first; then type the edits.

        Raises:
            DeviceRefusedError: The router has unsaved changes, which a reload would lose; it can't schedule a reload;
                or a line was refused.
        """
        if follow_up is None:
            self._timed = True
            await self._in_thread(lambda: self._arm(persist, max(1, timeout // 60)))
        await self._type()

    async def confirm(self, persist: str) -> None:
        """Cancel the reload, over a new connection that proves the router reachable.

        Raises:
            DeviceRefusedError: No reload of ours is pending.
        """
        self._timed = True
        await self._in_thread(lambda: self._confirm(persist))

    async def cancel(self, persist: str) -> None:
        """Restore the saved configuration, and cancel the reload if that succeeded.

        Raises:
            DeviceRefusedError: No reload of ours is pending, or it is left to restore the configuration.
        """
        self._timed = True
        await self._in_thread(lambda: self._cancel(persist))

    async def copy_to_startup(self) -> None:
        """Save running, and check that it is saved where the platform shows it.

        Raises:
            DeviceRefusedError: It is not saved.
        """
        await self._in_thread(self._save)

    async def disarm(self) -> None:
        """Cancel a timed reload of ours that would no longer change anything."""
        if self._timed:
            await self._in_thread(self._disarm)

    def drop(self) -> None:
        """Close the connection at once; may block for a moment."""
        self._line.close()

    # ------------------------------------------------------------ in a thread

    async def _type(self) -> None:
        wanted, self._staged = self._staged, None
        if wanted is None:
            return
        lines = command_lines(self._profile, self._seen, wanted)
        if lines:
            await self._in_thread(lambda: self._line.configure(lines))

    def _own_way(self) -> str:
        """The interface with the address that we connect to, if the collected edits change it or its VRF."""
        if self._staged is None:
            return ""
        changed = {path for path in {*self._seen, *self._staged} if self._seen.get(path) != self._staged.get(path)}
        for path, leaves in self._seen.items():
            if str(leaves.get("address", "")).partition("/")[0] not in (self._target.address, self._line.peer):
                continue
            vrf = child(f"/Router[{self._target.device}]", "Vrf", str(leaves["vrf"])) if "vrf" in leaves else path
            if any(one == path or is_below(one, vrf) for one in changed):
                return step(path)[1][0]
        return ""

    def _read(self) -> Observed:
        if not self._profile.virtual:
            self._see_restarts()
        text = self._show(_SHOW_RUNNING)
        if version := _FRR_VERSION.search(text):
            self._see_daemons(int(version[1]))
        observed = read_config(self._profile, text, self._target.device)
        said = self._line.ask("show ip interface brief" if self._profile.virtual else "show interface brief")
        return replace(observed, state=port_states(self._profile, said, self._target.device))

    def _see_restarts(self) -> None:
        """Raise if watchfrr is restarting one of FRRouting's daemons.

        watchfrr restarts a dead daemon and loads its saved lines; until it has, these lines seem to be gone.
        """
        said = self._line.ask("show watchfrr")
        states = dict(_WATCHED.findall(said))
        if down := [name for name in _DAEMONS if states.get(name, "Up") != "Up"]:
            raise self._not_whole(_SHOW_RUNNING, f", watchfrr says that {' and '.join(down)} is not up")
        if "restart running" in said:
            raise self._not_whole(_SHOW_RUNNING, ", watchfrr has not yet given a restarted daemon what is saved")

    def _see_daemons(self, version: int) -> None:
        """Raise unless all FRRouting daemons run that hold the configuration we read.

        The shell leaves out the lines of a daemon that is down. And mgmtd accepts any line for a daemon that is not
        connected to it: nothing checks or applies that line.
        """
        run = self._line.ask("show daemons").split()
        if away := [name for name, since in _DAEMONS.items() if version >= since and name not in run]:
            raise self._not_whole(_SHOW_RUNNING, f", {' and '.join(away)} does not run there")
        if clients := [name for name, since in _CLIENTS.items() if version >= since]:
            known = self._line.ask("show mgmt backend-adapter all").split()
            if unknown := [name for name in clients if name not in known]:
                raise self._not_whole(_SHOW_RUNNING, f", {' and '.join(unknown)} is not connected to mgmtd")

    def _show(self, command: str) -> str:
        """A configuration up to its last ``end`` line, since a banner may contain such a line too."""
        text, end, _ = self._line.ask(command).rpartition("\nend\n")
        if not end:
            raise self._not_whole(command)
        return text

    def _not_whole(self, command: str, why: str = "") -> SessionLostError:
        self._line.close()
        return SessionLostError(f"{self._target.device}: the answer to {command!r} is not whole{why}")

    def _differs_from_saved(self) -> bool:
        running, startup = (_essence(self._show(command)) for command in (_SHOW_RUNNING, _SHOW_STARTUP))
        return running != startup

    def _save(self) -> None:
        said = self._line.ask("write memory", f"{_CONFIRM}|{self._line.prompt}")
        if re.search(_CONFIRM, said):
            self._line.press("n")
            raise DeviceRefusedError(f"{self._target.device} asks before it saves: {' '.join(said.split())[:200]}")
        if "[OK]" not in said and "saved to" not in said:
            raise DeviceRefusedError(f"{self._target.device} did not say that it saved its configuration")
        if self._profile.virtual and self._differs_from_saved():
            raise DeviceRefusedError(f"{self._target.device} said that it saved its configuration, and did not")

    def _arm(self, persist: str, minutes: int) -> None:
        name = self._target.device
        if self._differs_from_saved():
            raise DeviceRefusedError(f"{name} has unsaved changes, which the reload that guards this would lose")
        said = self._line.ask(f"reload in {minutes} {persist}", f"{_CONFIRM}|{_SAVE}|{self._line.prompt}")
        if re.search(_SAVE, said):
            self._line.press("no", _CONFIRM)
            self._line.press("n")
            raise DeviceRefusedError(f"{name} has unsaved changes, which the reload that guards this would lose")
        if re.search(_CONFIRM, said):
            self._line.press("")
        if not self._pending(self._line, persist):
            raise DeviceRefusedError(f"{name} does not time a reload: {' '.join(said.split())[:200]}")

    def _pending(self, line: CliLine, persist: str) -> bool:
        return persist in line.ask("show reload")

    def _confirm(self, persist: str) -> None:
        again = self._again()
        try:
            if not self._pending(again, persist):
                raise DeviceRefusedError("no reload of ours is pending", tag="invalid-value")
            again.ask("reload cancel")
        finally:
            again.close()

    def _cancel(self, persist: str) -> None:
        if not self._pending(self._line, persist):
            raise DeviceRefusedError("no reload of ours is pending")
        saved = read_config(self._profile, self._show(_SHOW_STARTUP), self._target.device)
        self._line.configure(command_lines(self._profile, self._read().tree, saved.tree))
        if self._differs_from_saved():
            raise DeviceRefusedError(f"{self._target.device} is left to its reload")
        self._line.ask("reload cancel")

    def _disarm(self) -> None:
        if "minka-" in self._line.ask("show reload") and not self._differs_from_saved():
            self._line.ask("reload cancel")
        self._timed = False


def _essence(text: str) -> list[str]:
    """The lines that count in a comparison of configurations."""
    lines = [line.rstrip() for line in text.split("\n")]
    return [line for line in lines if not _HEADS.fullmatch(line.strip())]


class CliDevices:
    """Opens sessions to routers, and keeps none open, since routers have few vty lines. Belongs to one loop.

    Implements ``controller.drivers.protocols.DevicesOf``. A command line tells nothing by itself, and serves no files.

    Args:
        secrets: Resolves credentials, at each connect.
        limit: Most sessions at once.
        timeout: Seconds to wait for an answer.
        connect_timeout: Seconds for opening a session.
        observations: Gets the response times of routers, and the failures to open a session.
    """

    def __init__(
        self, secrets: Secrets, observations: Observations, *, limit: int, timeout: float, connect_timeout: float
    ) -> None:
        self._secrets = secrets
        self._observations = observations
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._free = asyncio.Semaphore(limit)
        # An abandoned session may hold a thread until its connection times out.
        self._threads = ThreadPoolExecutor(limit + 4, thread_name_prefix="router")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_use: set[CliSession] = set()

    @asynccontextmanager
    async def session(self, target: CliTarget) -> AsyncIterator[CliSession]:
        """See ``Devices.session``; a reload that it timed is cancelled at the end if it would change nothing."""
        async with self.aside(target) as session:
            yield session
            await session.disarm()

    @asynccontextmanager
    async def aside(self, target: CliTarget) -> AsyncIterator[CliSession]:
        """See ``Devices.aside``: nobody keeps a session to a router for long."""
        turn = self._turns.setdefault(target.device, asyncio.Lock())
        async with turn, self._free:
            try:
                line, again = await self._open(target)
            except DeviceError as error:
                self._observations.count("minka_session_openings_total", error.code)
                raise
            self._observations.count("minka_session_openings_total", "opened")
            session = CliSession(target, line, again, self._threads)
            self._in_use.add(session)
            try:
                yield session
            finally:
                self._in_use.discard(session)
                self._threads.submit(session.drop)

    async def _open(self, target: CliTarget) -> tuple[CliLine, Callable[[], CliLine]]:
        """A connection, and a function that opens another one."""
        address = await self._address_of(target)

        def opened() -> CliLine:
            # netmiko loads slowly: import it in a thread, and only in processes that reach a router.
            from controller.drivers.cli.line import CliLine, login_of  # noqa: PLC0415

            login = login_of(target, address, self._secrets)
            at, seen = replace(target, address=address), self._observations
            return CliLine(at, login, self._connect_timeout, self._timeout, seen)

        opening = asyncio.get_running_loop().run_in_executor(self._threads, opened)
        try:
            return await asyncio.shield(opening), opened
        except asyncio.CancelledError:
            # A thread can't be stopped: close a connection that nobody waits for, since vty lines are few.
            opening.add_done_callback(self._unwanted)
            raise

    async def _address_of(self, target: CliTarget) -> str:
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await address_of(target, self._secrets)
        except OSError as error:
            failure = UnreachableError(f"{target.device} ({target.address}) can't be reached: {in_words(error)}")
        raise failure

    def _unwanted(self, opening: asyncio.Future[CliLine]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            opening.result().close()

    @property
    def count(self) -> int:
        """Sessions in use."""
        return len(self._in_use)

    async def close(self) -> None:
        """See ``Devices.close``; all at once."""
        for session in self._in_use:
            self._threads.submit(session.drop)
        self._threads.shutdown(wait=False)
