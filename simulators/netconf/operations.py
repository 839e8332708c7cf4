"""The operations of a session (RFC 6241 §7 and §8, RFC 5277, RFC 6022): which there are, and who may call them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lxml import etree

from simulators.datastore import RpcError, denied
from simulators.faults import FaultKind
from simulators.netconf import oran, parameters, reading, writing
from simulators.netconf.messages import BASE_NS, NOTIFICATION_NS, Request, number, text
from simulators.netconf.notifications import STREAM, Subscription
from simulators.netconf.parameters import MONITORING_NS, refused
from simulators.netconf.profiles import Profile
from simulators.netconf.statistics import Termination

if TYPE_CHECKING:
    from simulators.netconf.session import Session

#: Elements of the reply, or the rendered content of its ``<data>``, or none for ok.
Content = Iterable[etree._Element] | str | None
Handler = Callable[["Session", etree._Element], Content]

#: What a session with a subscription may ask where interleave is not offered (RFC 5277 §6).
_WHILE_SUBSCRIBED = frozenset({"close-session", "kill-session"})


def perform(session: Session, request: Request) -> Content:
    """Carry out an operation; none means that the reply is ok.

    Raises:
        RpcError, RpcErrors: it was refused.
    """
    profile = session.station.profile
    handler = oran.perform if request.operation.tag in oran.OPERATIONS else _HANDLERS.get(request.operation.tag)
    needed = _NEEDS.get(request.operation.tag)
    if handler is None or (needed is not None and not needed(profile)):
        raise refused("operation-not-supported", request.name, f"{request.name} is not supported")
    if session.access is not None and not session.access.executes(request.name):
        raise denied(f"{request.name} is not permitted")
    if session.subscription is not None and not profile.interleave and request.name not in _WHILE_SUBSCRIBED:
        raise refused("operation-not-supported", request.name, "not while notifications are sent: no interleave")
    parameters.check_known(request.operation, profile)
    return handler(session, request.operation)


def _close_session(session: Session, _operation: etree._Element) -> Content:
    session.closing = True
    return None


def _kill_session(session: Session, operation: etree._Element) -> Content:
    wanted = number(operation, "session-id", 1, 2**32 - 1)
    if wanted is None:
        raise parameters.missing("session-id")
    victim = session.station.sessions.get(wanted)
    if victim is None or wanted == session.origin.session:
        raise refused("invalid-value", "session-id", f"session {wanted} can't be killed")
    victim.drop(Termination.KILLED, session.origin.session)
    return None


def _create_subscription(session: Session, operation: etree._Element) -> Content:
    station = session.station
    if station.has_habit(FaultKind.SUBSCRIPTION_REFUSED):
        raise refused("operation-not-supported", "create-subscription", "notifications are not supported")
    stream = text(operation, "stream") or STREAM
    if stream != STREAM:
        raise refused("invalid-value", "stream", f"no stream {stream!r:.40}")
    start, stop = (parameters.moment(operation, name) for name in ("startTime", "stopTime"))
    if start is None and stop is not None:
        raise parameters.missing("startTime", ": stopTime is for replays")
    if start is not None and start > station.clock.now():
        raise refused("bad-element", "startTime", "startTime is in the future")
    if start is not None and stop is not None and stop < start:
        raise refused("bad-element", "stopTime", "stopTime is before startTime")
    if start is not None and station.replay is None:
        raise refused("operation-failed", "startTime", "replay is not supported")
    if session.subscription is not None:
        raise RpcError("in-use", "this session has a subscription already", type="protocol")
    session.subscribe(Subscription(parameters.read_filter(operation, station.profile), stop), start)
    return None


def _base(name: str) -> str:
    return f"{{{BASE_NS}}}{name}"


_SUBSCRIBE = f"{{{NOTIFICATION_NS}}}create-subscription"
_GET_SCHEMA = f"{{{MONITORING_NS}}}get-schema"
_HANDLERS: dict[str, Handler] = {
    _base("get"): reading.get,
    _base("get-config"): reading.get_config,
    _base("edit-config"): writing.edit_config,
    _base("copy-config"): writing.copy_config,
    _base("delete-config"): writing.delete_config,
    _base("lock"): writing.lock,
    _base("unlock"): writing.unlock,
    _base("validate"): writing.validate,
    _base("commit"): writing.commit,
    _base("cancel-commit"): writing.cancel_commit,
    _base("discard-changes"): writing.discard_changes,
    _base("close-session"): _close_session,
    _base("kill-session"): _kill_session,
    _SUBSCRIBE: _create_subscription,
    _GET_SCHEMA: reading.get_schema,
}
_NEEDS: dict[str, Callable[[Profile], bool]] = {
    _base("validate"): lambda profile: profile.validate is not None,
    _base("commit"): lambda profile: profile.candidate,
    _base("discard-changes"): lambda profile: profile.candidate,
    _base("cancel-commit"): lambda profile: profile.confirmed_commit == "1.1",
    _SUBSCRIBE: lambda profile: profile.notification,
    _GET_SCHEMA: lambda profile: profile.monitoring,
}
