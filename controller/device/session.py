"""A device's session in terms of device trees and edits: the ``DeviceSession`` of the port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from lxml import etree
from ncclient.operations.edit import CancelCommit, Commit, CopyConfig, DiscardChanges, EditConfig
from ncclient.operations.lock import Lock, Unlock
from ncclient.operations.retrieve import Get, GetConfig
from ncclient.operations.rpc import RPC, GenericRPC
from ncclient.operations.session import KillSession

from controller.device.capabilities import capabilities_of, capabilities_with
from controller.device.modules import Announced, KnownModules
from controller.device.replies import BASE, check, check_done, data_of
from controller.device.requests import Request
from controller.device.transport import Connection, Transport
from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation
from controller.models.errors import DeviceBusyError, DeviceRefusedError, UncommittedEditsError
from controller.models.measurement import Period
from controller.models.plan import Edit
from controller.nrm.active_alarms import alarms_filter
from controller.nrm.codec import decode, encode_edit, read_filter
from controller.nrm.equipment import decode_equipment, encode_operation, equipment_filter, refusal_of
from controller.nrm.measurements import decode_measurements, measurements_filter
from controller.nrm.namespaces import ORAN_FM
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Tree, shared
from controller.ports.devices import Capabilities, DeviceTarget, Observed

log = structlog.get_logger()

#: Holder of a lock that belongs to no NETCONF session (RFC 6241 §7.5).
_NOBODY = "0"
#: Error-tags by which servers refuse to lock a candidate that was modified.
_MAY_BE_DIRTY = frozenset({"operation-failed", "resource-denied"})
#: Nodes that are named in an error.
_MOST_NAMED = 3


class NetconfSession:
    """One session; implements ``controller.ports.devices.DeviceSession``."""

    def __init__(
        self, target: DeviceTarget, connection: Connection, transport: Transport, known: KnownModules | None = None
    ) -> None:
        self._station = target.station
        self._root = root_spec(target.profiles)
        self._connection = connection
        self._transport = transport
        self._locked: list[str] = []
        self._capabilities = capabilities_of(transport.hello)
        self._target = "candidate" if self._capabilities.candidate else "running"
        self._digest = b""
        self._seen = Observed({})
        self._reading: Request | None = None
        self._known = known or KnownModules()
        self._modules: Announced | None = None

    @property
    def session_id(self) -> str:
        """See ``DeviceSession.session_id``."""
        return str(self._transport.id)

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return self._capabilities

    @property
    def reusable(self) -> bool:
        """Whether the next caller may have it: alive and without locks."""
        return not self._transport.lost and not self._locked

    def forget(self) -> None:
        """Forget what was read last: an idle session is kept for long and should cost little."""
        self._digest, self._seen = b"", Observed({})

    async def lock(self) -> None:
        """See ``DeviceSession.lock``.

        Beside the candidate running is locked only where it can be written to directly. Elsewhere the
        candidate's lock alone keeps others out, and running's does harm: netconfd, whose running is
        locked by anybody, can't take a confirmed commit back and answers ok all the same.

        A denial of running that names no session is no competitor (some servers refuse while a
        confirmed commit is pending), and the candidate's lock then has to do.
        """
        try:
            await self._lock(self._target)
        except DeviceRefusedError as refused:
            if self._target != "candidate" or refused.tag not in _MAY_BE_DIRTY:
                raise
            raise await self._dirty(refused) from None
        if self._target == "running" or not self._capabilities.writable_running:
            return
        try:
            await self._lock("running")
        except DeviceBusyError as busy:
            if busy.holder != _NOBODY:
                await self.unlock()
                raise
            log.info("device.running_not_locked", station=self._station, reason=busy.message)
        except DeviceRefusedError as refused:
            log.info("device.running_not_locked", station=self._station, reason=refused.message)

    async def _lock(self, datastore: str) -> None:
        await self._done("lock", Lock, datastore)
        self._locked.append(datastore)

    async def _dirty(self, refused: DeviceRefusedError) -> UncommittedEditsError:
        """Why the candidate can't be locked: somebody's edits in it, named as far as they are in managed nodes.

        RFC 6241 §7.5 forbids to lock a candidate that was modified, and gives no error-tag for it.
        """
        running = (await self.read()).tree
        candidate = await self.read_candidate()
        edited = sorted(path for path in {*running, *candidate} if running.get(path) != candidate.get(path))
        more = ", …" if len(edited) > _MOST_NAMED else ""
        where = ", ".join(edited[:_MOST_NAMED]) + more if edited else "in no node that we manage"
        return UncommittedEditsError(
            f"{self._station}: its candidate holds edits that somebody else did not commit ({where}): {refused.message}"
        )

    async def unlock(self) -> None:
        """See ``DeviceSession.unlock``."""
        while self._locked:
            await self._done("unlock", Unlock, self._locked[-1])
            self._locked.pop()

    async def discard(self) -> None:
        """See ``DeviceSession.discard``."""
        if self._capabilities.candidate:
            await self._done("discard-changes", DiscardChanges)

    async def read(self) -> Observed:
        """See ``DeviceSession.read``.

        Only modules that the server announces are asked for. Where it refuses, it is asked once more without its
        list of alarms; that is remembered unless it announces one.
        """
        modules = await self._announced()
        try:
            return await self._read(self._reading or self._prepared(modules), "get")
        except DeviceRefusedError as error:
            refused = error
        if not modules.offers(ORAN_FM):
            raise refused
        observed = await self._read(self._get(modules), "get")
        log.warning("device.alarms_not_read", station=self._station, reason=refused.message)
        if ORAN_FM not in modules.modules:
            modules.refused.add(ORAN_FM)
            self._reading = None
        return observed

    def _prepared(self, modules: Announced) -> Request:
        """The request of each reading, made once."""
        self._reading = self._get(modules, *([alarms_filter()] if modules.offers(ORAN_FM) else []))
        return self._reading

    def _get(self, modules: Announced, *beside: etree._Element) -> Request:
        """A get of all that the profiles manage, as far as the server has it, and something beside."""
        wanted = read_filter(self._root, self._station, modules.offers)
        return self._transport.prepared(Get, filter=_filter(wanted, *beside))

    async def _announced(self) -> Announced:
        """The server's modules; its library is read for that once."""
        if self._modules is None:
            self._modules = await self._known.of(self._station, self._transport.hello, self._data)
            self._capabilities = capabilities_with(self._transport.hello, self._modules)
        return self._modules

    async def _offered(self, wanted: Iterable[etree._Element]) -> list[etree._Element]:
        """What of a filter is in modules of the server."""
        modules = await self._announced()
        return [element for element in wanted if modules.offers(etree.QName(element).namespace or "")]

    async def _data(self, *wanted: etree._Element) -> etree._Element:
        """The data of a get with a subtree filter of these contents."""
        return data_of(await self._asked(Get, filter=_filter(*wanted)), self._station, "get")

    async def read_candidate(self) -> Tree:
        """See ``DeviceSession.read_candidate``."""
        wanted = read_filter(self._root, self._station, (await self._announced()).offers)
        reading = self._transport.prepared(GetConfig, source=self._target, filter=_filter(wanted))
        return (await self._read(reading, "get-config")).tree

    async def edit(self, edits: Sequence[Edit]) -> None:
        """See ``DeviceSession.edit``."""
        capabilities = self._transport.server_capabilities
        await self._done(
            "edit-config",
            EditConfig,
            config=encode_edit(self._root, edits, self._seen.spelled),
            target=self._target,
            default_operation="none",
            test_option="test-then-set" if self._capabilities.validate else None,
            error_option="rollback-on-error" if ":rollback-on-error" in capabilities else None,
        )

    async def commit(self) -> None:
        """See ``DeviceSession.commit``."""
        if self._capabilities.candidate:
            await self._done("commit", Commit)

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - the device's timer
        """See ``DeviceSession.commit_confirmed``."""
        if follow_up is None:
            await self._done("commit", Commit, confirmed=True, timeout=str(timeout), persist=persist)
        else:
            # ncclient refuses persist beside persist-id, which RFC 6241 §8.4 wants in a follow-up that goes on.
            await self._done("commit", GenericRPC, _follow_up(persist, timeout, follow_up))

    async def confirm(self, persist: str) -> None:
        """See ``DeviceSession.confirm``."""
        await self._done("commit", Commit, persist_id=persist)

    async def cancel(self, persist: str) -> None:
        """See ``DeviceSession.cancel``."""
        await self._done("cancel-commit", CancelCommit, persist_id=persist)

    async def equipment(self) -> Equipment:
        """See ``DeviceSession.equipment``."""
        wanted = await self._offered(equipment_filter())
        return decode_equipment(await self._data(*wanted)) if wanted else Equipment()

    async def measurements(self) -> tuple[Period, ...]:
        """See ``DeviceSession.measurements``."""
        wanted = await self._offered([measurements_filter()])
        return decode_measurements(await self._data(*wanted)) if wanted else ()

    async def operate(self, operation: Operation) -> str:
        """See ``DeviceSession.operate``."""
        reply = await self._asked(GenericRPC, encode_operation(operation))
        return refusal_of(check(reply, self._station, operation.kind))

    async def copy_to_startup(self) -> None:
        """See ``DeviceSession.copy_to_startup``."""
        if self._capabilities.startup:
            await self._done("copy-config", CopyConfig, source="running", target="startup")

    async def kill(self, session_id: str) -> None:
        """See ``DeviceSession.kill``."""
        await self._done("kill-session", KillSession, session_id)

    async def abandon(self) -> None:
        """See ``DeviceSession.abandon``."""
        self.drop("we abandoned it")

    def drop(self, reason: str) -> None:
        """Close the transport at once."""
        self._transport.fail(reason)
        self._connection.abort()

    async def close(self) -> None:
        """Close the transport in good order; the session must not be in use."""
        self._transport.fail("it was closed")
        self._connection.close()
        await self._connection.wait_closed()

    async def _asked(self, operation: type[RPC], *args: Any, **kwargs: Any) -> etree._Element:
        return await self._transport.request(operation, *args, **kwargs)

    async def _done(self, name: str, operation: type[RPC], *args: Any, **kwargs: Any) -> None:
        check_done(await self._asked(operation, *args, **kwargs), self._station, name)

    async def _read(self, reading: Request, operation: str) -> Observed:
        """Decode a reply, unless it says the very same as the one before: a transaction reads many times."""
        reply, digest = await self._transport.answer(reading, self._digest)
        if reply is not None:
            before, seen = self._seen, decode(self._root, data_of(reply, self._station, operation), self._station)
            self._seen = replace(seen, tree=shared(seen.tree, before.tree), state=shared(seen.state, before.state))
            self._digest = digest
        return self._seen


def _filter(*wanted: etree._Element) -> etree._Element:
    """A subtree filter (RFC 6241 §6) of these contents."""
    element = etree.Element(f"{BASE}filter", type="subtree")
    element.extend(wanted)
    return element


#: Leaves that carry the token in a follow-up.
_TOKENS = {
    FollowUp.BOTH: ("persist", "persist-id"),
    FollowUp.PERSIST_ID: ("persist-id",),
    FollowUp.PERSIST: ("persist",),
}


def _follow_up(persist: str, timeout: int, form: FollowUp) -> etree._Element:
    commit = etree.Element(f"{BASE}commit")
    etree.SubElement(commit, f"{BASE}confirmed")
    etree.SubElement(commit, f"{BASE}confirm-timeout").text = str(timeout)
    for name in _TOKENS[form]:
        etree.SubElement(commit, f"{BASE}{name}").text = persist
    return commit
