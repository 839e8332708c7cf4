"""NETCONF sessions: for device trees and edits (``DeviceSession``), and for notifications (RFC 5277)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TypeVar
from weakref import ReferenceType, ref

import structlog
from lxml import etree

from controller.drivers.netconf import requests
from controller.drivers.netconf.active_alarms import alarms_filter
from controller.drivers.netconf.capabilities import Announced, KnownModules, capabilities_of, offers, trims_defaults
from controller.drivers.netconf.codec import Offers, decode, elements_filter, encode_edit, read_filter
from controller.drivers.netconf.equipment import decode_equipment, encode_operation, equipment_filter, refusal_of
from controller.drivers.netconf.external_io import inputs_filter
from controller.drivers.netconf.measurements import decode_measurements, measurements_filter
from controller.drivers.netconf.replies import check, check_done, data_of
from controller.drivers.netconf.requests import Request
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Connection, Shared, Transport
from controller.drivers.protocols import Capabilities, Check, Notification, Observed
from controller.models.behaviour import FollowUp
from controller.models.equipment import Equipment, Operation, OperationKind
from controller.models.errors import DeviceBusyError, DeviceError, DeviceRefusedError, UncommittedEditsError
from controller.models.many import first_names
from controller.models.measurement import Period
from controller.models.plan import Edit
from controller.models.untrusted import moment
from controller.nrm.namespaces import MANAGED_ELEMENT, NOTIFICATIONS, ORAN_EXTERNALIO, ORAN_FM
from controller.nrm.profiles import root_spec
from controller.nrm.profiles.alarm_list import FM_FEATURE, encode_acknowledgement
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Path, Tree, child, shared, with_unknown

log = structlog.get_logger()

T = TypeVar("T")

#: Session id in an error where no NETCONF session holds the lock (RFC 6241 §7.5).
_NOBODY = "0"
#: Error-tags by which servers refuse to lock a candidate that was modified.
_MAY_BE_DIRTY = frozenset({"operation-failed", "resource-denied"})
#: Most nodes to name in an error.
_MOST_NAMED = 3
_NOTIFICATION = f"{{{NOTIFICATIONS}}}"


#: Opens a session to a target.
Opening = Callable[[NetconfTarget], Awaitable[tuple[Connection, Transport]]]


class NetconfSession:
    """One session; implements ``controller.drivers.protocols.DeviceSession``, with all that a kind may offer besides.

    Attributes:
        target: The device.
        connection: The connection that carries the session.
    """

    def __init__(
        self, target: NetconfTarget, connection: Connection, transport: Transport, known: KnownModules | None = None
    ) -> None:
        self.target = target
        self.connection = connection
        self._station = target.device
        self._root = root_spec(target.profiles)
        self._transport = transport
        self._locked: list[str] = []
        self._capabilities = capabilities_of(transport.hello)
        self._target = "candidate" if self._capabilities.candidate else "running"
        self._digest = b""
        self._seen = Observed({})
        #: The reading with this digest, for as long as anybody keeps it.
        self._kept: ReferenceType[Observed] = ref(self._seen)
        self._reading: Request | None = None
        self._known = known or KnownModules()
        self._modules: Announced | None = None
        self._lacks: frozenset[str] = frozenset()

    @property
    def session_id(self) -> str:
        """See ``Locks.session_id``."""
        return str(self._transport.id)

    @property
    def capabilities(self) -> Capabilities:
        """See ``DeviceSession.capabilities``."""
        return self._capabilities

    @property
    def reusable(self) -> bool:
        """Whether the next caller may use the session: it is open and holds no locks."""
        return not self.lost and not self._locked

    @property
    def lost(self) -> bool:
        """Whether the session has ended."""
        return self._transport.lost

    def forget(self) -> None:
        """Keep the last reading only as long as a caller keeps it, since an idle session should cost little memory.

        While a caller keeps it and the device answers the same, the caller gets the same object again.
        """
        self._seen = Observed({})

    async def lock(self) -> None:
        """See ``Locks.lock``.

        Running is locked too only where it can be written directly. Elsewhere the candidate's lock keeps others out,
        and a lock of running does harm: netconfd can't take a confirmed commit back while anybody holds it, and still
        answers ok.

        A lock of running that is denied without a session id has no competitor (some servers refuse while a confirmed
        commit is pending); the candidate's lock then has to do.

        A candidate that was modified can't be locked, for which RFC 6241 §7.5 names no error-tag. Some servers answer
        with a failure. Others answer as for a lock that no NETCONF session holds, so there its content has to tell.
        """
        try:
            await self._lock(self._target)
        except DeviceRefusedError as refused:
            if self._target != "candidate" or refused.tag not in _MAY_BE_DIRTY:
                raise
            raise self._dirty(refused, await self._edited()) from None
        except DeviceBusyError as busy:
            edited = await self._edited() if self._target == "candidate" and busy.holder == _NOBODY else []
            if not edited:
                raise
            raise self._dirty(busy, edited) from None
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
        await self._done(requests.lock(datastore))
        self._locked.append(datastore)

    async def _edited(self) -> list[Path]:
        """Managed nodes in which the candidate differs from running."""
        running = (await self.read()).tree
        candidate = await self.read_candidate()
        return sorted(path for path in {*running, *candidate} if running.get(path) != candidate.get(path))

    def _dirty(self, denied: DeviceError, edited: Sequence[Path]) -> UncommittedEditsError:
        """The error where the candidate can't be locked because of uncommitted edits, with their managed nodes."""
        where = first_names(edited) if edited else "in no node that we manage"
        return UncommittedEditsError(
            f"{self._station}: its candidate holds edits that somebody else did not commit ({where}): {denied.message}"
        )

    async def unlock(self) -> None:
        """See ``Locks.unlock``."""
        while self._locked:
            await self._done(requests.unlock(self._locked[-1]))
            self._locked.pop()

    async def discard(self) -> None:
        """See ``DeviceSession.discard``."""
        if self._capabilities.candidate:
            await self._done(requests.discard_changes())

    async def read(self) -> Observed:
        """See ``DeviceSession.read``.

        The request names only modules that the server announces. If the server refuses, a second request leaves out its
        alarm lists; this is remembered, unless the server announces one. A station that does not have its
        ManagedElement may have one of another name, which that request does not select: another one asks for all ids.
        """
        seen = await self._read_ours()
        return seen if child("", self._root.name, self._station) in seen.tree else await self._with_others(seen)

    async def _with_others(self, seen: Observed) -> Observed:
        """The reading of a station without its ManagedElement, with those of other names as unknown nodes."""
        return with_unknown(seen, await self.elements_beside())

    async def elements_beside(self) -> tuple[Path, ...]:
        """See ``ManagedElements.elements_beside``. A server that refuses the request is taken to have none."""
        try:
            found = await self._data(lambda data: decode(self._root, data, self._station), elements_filter(self._root))
        except DeviceRefusedError as error:
            log.warning("device.elements_not_read", station=self._station, reason=error.message)
            return ()
        return found.unknown

    async def _read_ours(self) -> Observed:
        modules = await self._announced()
        try:
            return await self._read(self._reading or self._prepared(modules))
        except DeviceRefusedError as error:
            refused = error
        if not (modules.offers(ORAN_FM) or modules.offers(MANAGED_ELEMENT, FM_FEATURE)):
            raise refused
        observed = await self._read(self._get(modules.without_features))
        log.warning("device.alarms_not_read", station=self._station, reason=refused.message)
        if ORAN_FM not in modules.modules:
            modules.refused.add(ORAN_FM)
            self._reading = None
        return observed

    def _prepared(self, modules: Announced) -> Request:
        """The request for a reading, which is made once."""
        beside = [alarms_filter()] if modules.offers(ORAN_FM) else []
        if ORAN_EXTERNALIO in modules.modules:  # announced nowhere, it is not tried: a refusal would cost the alarms
            beside.append(inputs_filter())
        self._reading = self._get(modules.offers, *beside)
        return self._reading

    def _get(self, offers: Offers, *beside: etree._Element) -> Request:
        """A get of all managed nodes that the server may have, and of what ``beside`` selects."""
        return requests.get(*read_filter(self._root, self._station, offers), *beside)

    async def _announced(self) -> Announced:
        """The server's modules; its library is read once."""
        if self._modules is None:
            self._modules = await self._known.of(self._station, self._transport.hello, self._data)
            self._capabilities = self._known.capabilities(self._transport.hello, self._modules)
            self._lacks = frozenset(self._lacking(self._modules))
        return self._modules

    def _lacking(self, modules: Announced) -> Iterator[str]:
        """Names of nodes whose feature the server lacks; a leaf as ``node/leaf``."""
        for node in (*self._root.children, *self._root.beside):
            if node.feature and not node.given and not modules.offers(node.namespace, node.feature):
                yield from (below.name for below in node.walk())
            elif node.feature:
                yield from _unknown(node, modules)
            for leaf in node.leaves:
                if leaf.feature and not (
                    modules.offers(node.namespace, leaf.feature) and modules.offers(leaf.namespace or node.namespace)
                ):
                    yield f"{node.name}/{leaf.name}"

    async def _offered(self, wanted: Iterable[etree._Element]) -> list[etree._Element]:
        """The elements of a filter that are in the server's modules."""
        modules = await self._announced()
        return [element for element in wanted if modules.offers(etree.QName(element).namespace or "")]

    async def _data(self, decode: Callable[[etree._Element], T], *wanted: etree._Element) -> T:
        """What is decoded from the data of a get with these contents of the subtree filter."""
        return await self._transport.request(
            requests.get(*wanted), lambda reply: decode(data_of(reply, self._station, "get"))
        )

    async def read_candidate(self) -> Tree:
        """See ``Candidate.read_candidate``."""
        wanted = read_filter(self._root, self._station, (await self._announced()).offers)
        return (await self._read(requests.get_config(self._target, *wanted))).tree

    async def edit(self, edits: Sequence[Edit]) -> None:
        """See ``DeviceSession.edit``."""
        config = encode_edit(self._root, edits, self._seen.spelled)
        rollback = offers(self._transport.hello, ":rollback-on-error")
        await self._done(
            requests.edit_config(self._target, config, test=self._capabilities.validate, rollback=rollback)
        )

    async def commit(self, check: Check | None = None) -> None:
        """See ``DeviceSession.commit``."""
        if self._capabilities.candidate:
            await self._done(requests.commit())

    async def commit_confirmed(self, persist: str, timeout: int, follow_up: FollowUp | None = None) -> None:  # noqa: ASYNC109 - the device's timer
        """See ``ConfirmedCommit.commit_confirmed``."""
        if not self._capabilities.confirmed_commit:
            raise DeviceRefusedError(f"{self._station} offers no :confirmed-commit:1.1, so nothing was sent to it.")
        await self._done(requests.commit_confirmed(persist, timeout, follow_up))

    async def confirm(self, persist: str) -> None:
        """See ``ConfirmedCommit.confirm``."""
        await self._done(requests.confirm(persist))

    async def cancel(self, persist: str) -> None:
        """See ``ConfirmedCommit.cancel``."""
        await self._done(requests.cancel_commit(persist))

    async def equipment(self) -> Equipment:
        """See ``Equipped.equipment``."""
        wanted = await self._offered(equipment_filter())
        return await self._data(decode_equipment, *wanted) if wanted else Equipment()

    async def measurements(self) -> tuple[Period, ...]:
        """See ``Measuring.measurements``."""
        wanted = await self._offered([measurements_filter()])
        return await self._data(decode_measurements, *wanted) if wanted else ()

    async def operate(self, operation: Operation) -> str:
        """See ``Equipped.operate``."""
        if operation.kind is OperationKind.ACKNOWLEDGE:
            await self._acknowledge(operation)
            return ""
        request = requests.request(encode_operation(operation))
        return await self._transport.request(
            request, lambda reply: refusal_of(check(reply, self._station, operation.kind))
        )

    async def _acknowledge(self, operation: Operation) -> None:
        """Write into alarm records, which are in no device tree; a refused edit is discarded from the candidate."""
        config = encode_acknowledgement(operation.subject, operation.records, operation.user)
        rollback = offers(self._transport.hello, ":rollback-on-error")
        edit = requests.edit_config(self._target, config, test=self._capabilities.validate, rollback=rollback)
        try:
            await self._done(edit)
            await self.commit()
        except DeviceRefusedError:
            await self.discard()
            raise

    async def copy_to_startup(self) -> None:
        """See ``Startup.copy_to_startup``."""
        await self._done(requests.copy_config("running", "startup"))

    async def kill(self, session_id: str) -> None:
        """See ``Locks.kill``."""
        await self._done(requests.kill_session(session_id))

    async def abandon(self) -> None:
        """See ``Locks.abandon``."""
        self.drop("we abandoned it")

    def drop(self, reason: str) -> None:
        """Close the transport at once."""
        self._transport.fail(reason)
        self.connection.abort()

    async def close(self) -> None:
        """Close the transport with a close-session; the session must not be in use."""
        self._transport.fail("it was closed")
        self.connection.close()
        await self.connection.wait_closed()

    async def _done(self, request: Request) -> None:
        await self._transport.request(request, lambda reply: check_done(reply, self._station, request.name))

    async def _read(self, reading: Request) -> Observed:
        """Decode a reply, unless it equals the one before: a transaction reads many times."""
        before = self._kept()
        known = before or Observed({})

        def read(reply: etree._Element) -> Observed:
            data = data_of(reply, self._station, reading.name)
            seen = decode(self._root, data, self._station, trims=trims_defaults(self._transport.hello))
            return replace(seen, tree=shared(seen.tree, known.tree), state=shared(seen.state, known.state))

        seen, digest = await self._transport.answer(reading, read, b"" if before is None else self._digest)
        if seen is None:
            assert before is not None, "without a digest no reply is a known one"
            self._seen = before
            return before
        self._seen = replace(seen, lacks=self._lacks)
        self._kept, self._digest = ref(self._seen), digest
        return self._seen


async def subscribe(
    opening: Opening,
    target: NetconfTarget,
    subscribed: set[Transport],
    since: datetime | None = None,
    listening: Callable[[], None] | None = None,
) -> AsyncIterator[Notification]:
    """Open a session, subscribe to the default stream and yield notifications; see ``Devices.notifications``.

    While the session is open it is in ``subscribed``. One that is shared stays open afterwards, and its subscription
    with it, since RFC 5277 knows no other end of it: who follows next goes on with that.
    """
    connection, transport = await opening(target)
    if transport in subscribed:
        raise DeviceRefusedError(f"{target.device} has one session, on which somebody follows notifications already.")
    shared = isinstance(connection, Shared)
    subscribed.add(transport)
    try:
        await _begin(transport, target.device, since)
        if listening is not None:
            listening()
        while True:
            for notification in _parsed(target.device, await transport.notification()):
                yield notification
    finally:
        subscribed.discard(transport)
        if shared:
            transport.hear(whether=False)
        else:
            transport.fail("nobody listens any more")
            connection.abort()


async def _begin(transport: Transport, station: str, since: datetime | None) -> None:
    """Subscribe on a session, unless it has a subscription.

    Raises:
        DeviceRefusedError: The station refuses, or has a subscription and is asked for earlier notifications.
    """
    if transport.subscribed and since is not None:
        raise DeviceRefusedError(f"{station} has one session, whose subscription replays nothing.")
    transport.hear(whether=True)
    if transport.subscribed:
        return
    transport.subscribed = True
    request = requests.create_subscription(since)
    try:
        await transport.request(request, lambda reply: check_done(reply, station, request.name))
    except DeviceRefusedError:
        transport.subscribed = False
        raise


def _parsed(station: str, element: etree._Element) -> list[Notification]:
    """The element beside the event time; RFC 5277 allows only one."""
    at = moment(element.findtext(f"{_NOTIFICATION}eventTime"))
    contents = (content for content in element if content.tag != f"{_NOTIFICATION}eventTime")
    return [Notification(station, at, str(content.tag), content) for content in islice(contents, 1)]


def _unknown(node: NodeSpec, modules: Announced) -> Iterator[str]:
    """Names of nodes below one, with all below them, whose modules the server lacks."""
    for below in node.children:
        if modules.offers(below.namespace):
            yield from _unknown(below, modules)
        else:
            yield from (one.name for one in below.walk())
