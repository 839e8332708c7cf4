"""The operations of a session (RFC 6241 §7 and §8, RFC 5277, RFC 6022), and who may call them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from lxml import etree

from simulators.datastore import Access, Config, ErrorOption, RpcError, State, denied
from simulators.datastore.xmltext import parse_top_level
from simulators.elements import root
from simulators.history import EventKind, Origin
from simulators.netconf import oran, parameters
from simulators.netconf.datastores import (
    DEFAULT_CONFIRM_TIMEOUT,
    CommitRequest,
    EditRequest,
    TestOption,
    named_operations,
)
from simulators.netconf.faults import FaultKind
from simulators.netconf.filters import XPathFilter
from simulators.netconf.messages import BASE_NS, NOTIFICATION_NS, Request, child, number, text
from simulators.netconf.notifications import STREAM, Subscription, Termination
from simulators.netconf.parameters import MONITORING_NS, refused
from simulators.netconf.profiles import Profile
from simulators.netconf.server import Server
from simulators.netconf.state import schema_text, state_beside


@dataclass(frozen=True, slots=True)
class LastGet:
    """The last ``<get>`` of a session: clients repeat the same request, mostly of the same state."""

    question: tuple[bytes, str]
    running: Config
    state: State
    text: str

    def answers(self, question: tuple[bytes, str], running: Config, state: State) -> bool:
        """Whether it answers this request too."""
        return self.running is running and self.state is state and self.question == question


class Caller(Protocol):
    """The session that calls an operation.

    Attributes:
        access: What its user may do; None means everything.
        shown: The answer to the last ``<get>``.
        closing: Whether the session ends after the reply.
    """

    server: Server
    origin: Origin
    access: Access | None
    subscription: Subscription | None
    shown: LastGet | None
    closing: bool

    def subscribe(self, subscription: Subscription, start: datetime | None) -> None:
        """Subscribe after the reply; with ``start``, replay from that time on."""


#: Elements of the reply, or the rendered content of its ``<data>``, or None for ok.
Content = Iterable[etree._Element] | str | None
Handler = Callable[[Caller, etree._Element], Content]

#: Operations of a session with a subscription without interleave (RFC 5277 §6).
_WHILE_SUBSCRIBED = frozenset({"close-session", "kill-session"})


def perform(session: Caller, request: Request) -> Content:
    """Carry out an operation; None means that the reply is ok.

    Raises:
        RpcError, RpcErrors: it was refused.
    """
    profile = session.server.profile
    handler = _HANDLERS.get(request.operation.tag)
    needed = _NEEDS.get(request.operation.tag)
    if handler is None or (needed is not None and not needed(profile)):
        raise refused("operation-not-supported", request.name, f"{request.name} is not supported")
    if session.access is not None and not session.access.executes(request.name):
        raise denied(f"{request.name} is not permitted")
    if session.subscription is not None and not profile.interleave and request.name not in _WHILE_SUBSCRIBED:
        raise refused("operation-not-supported", request.name, "not while notifications are sent: no interleave")
    parameters.check_known(request.operation, profile)
    return handler(session, request.operation)


# --------------------------------------------------------------------- reading


def get(session: Caller, operation: etree._Element) -> str | Iterable[etree._Element]:
    """``<get>``: running and state."""
    server = session.server
    wanted = parameters.read_filter(operation, server.profile)
    if isinstance(wanted, XPathFilter):
        tops = [
            *_parsed(session, operation, "running", server.equipment.state()),
            *state_beside(server, None, session.access),
        ]
        return _data(session, wanted, tops)
    mode = parameters.with_defaults(operation, server.profile)
    running, state = server.datastores.running, server.equipment.state()
    question = b"" if wanted is None else etree.tostring(wanted), mode
    if session.shown is None or not session.shown.answers(question, running, state):
        text = running.to_text(filter=wanted, with_defaults=mode, state=state, access=session.access)
        session.shown = LastGet(question, running, state, text)
    found = session.shown.text
    more = state_beside(server, wanted, session.access)
    return found + "".join(etree.tostring(element, encoding="unicode") for element in more)


def get_config(session: Caller, operation: etree._Element) -> str | Iterable[etree._Element]:
    """``<get-config>``."""
    profile = session.server.profile
    source = parameters.datastore(operation, "source", profile)
    wanted = parameters.read_filter(operation, profile)
    if isinstance(wanted, XPathFilter):
        return _data(session, wanted, _parsed(session, operation, source, None))
    mode = parameters.with_defaults(operation, profile)
    return session.server.datastores.named(source).to_text(filter=wanted, with_defaults=mode, access=session.access)


def _parsed(session: Caller, operation: etree._Element, source: str, state: State | None) -> list[etree._Element]:
    mode = parameters.with_defaults(operation, session.server.profile)
    config = session.server.datastores.named(source)
    return parse_top_level(config.to_text(with_defaults=mode, state=state, access=session.access))


def _data(session: Caller, wanted: XPathFilter, tops: Iterable[etree._Element]) -> list[etree._Element]:
    data = root(BASE_NS, "data")
    data.extend(wanted.select(tops, session.server.schema))
    return [data]


def get_schema(session: Caller, operation: etree._Element) -> Iterable[etree._Element]:
    """``<get-schema>``."""
    return [schema_text(session.server, operation)]


# ------------------------------------------------------ datastores, locks, commits


_TESTS: tuple[TestOption, ...] = ("test-then-set", "set", "test-only")
_ERRORS = tuple(option.value for option in ErrorOption)
_OPERATIONS = ("merge", "replace", "none")


def edit_config(session: Caller, operation: etree._Element) -> None:
    """``<edit-config>``."""
    profile = session.server.profile
    target = parameters.datastore(operation, "target", profile)
    if target == "running" and not profile.writable_running:
        raise _not_writable("edit-config", target)
    config = child(operation, "config")
    if config is None:
        raise parameters.missing("config", " (url is not supported)")
    request = EditRequest(
        target,
        config,
        parameters.choice(operation, "default-operation", _OPERATIONS) or "merge",
        _test_option(session, operation),
        _error_option(session, operation),
    )
    session.server.datastores.edit(session.origin, request)
    if request.test != "test-only":
        operations = dict(named_operations([config]))
        session.server.history.record(EventKind.EDITED, session.origin, operations=operations)


def _test_option(session: Caller, operation: etree._Element) -> TestOption:
    profile = session.server.profile
    named = parameters.choice(operation, "test-option", _TESTS)
    if named is None:
        return "test-then-set" if profile.validate is not None and profile.tests_edits else "set"
    if profile.validate is None:
        raise refused("unknown-element", "test-option", "test-option needs the validate capability")
    if named == "test-only" and profile.validate == "1.0":
        raise refused("invalid-value", "test-option", "test-only needs validate:1.1")
    return cast("TestOption", named)


def _error_option(session: Caller, operation: etree._Element) -> ErrorOption:
    profile = session.server.profile
    named = parameters.choice(operation, "error-option", _ERRORS)
    if named is None:
        # A device that leaves validation to the commit still checks an edit before it applies any part.
        return ErrorOption.STOP if profile.tests_edits else ErrorOption.ROLLBACK
    if named == ErrorOption.ROLLBACK.value and not profile.rollback_on_error:
        raise refused("invalid-value", "error-option", "rollback-on-error is not supported")
    return ErrorOption(named)


def copy_config(session: Caller, operation: etree._Element) -> None:
    """``<copy-config>``."""
    profile = session.server.profile
    target = parameters.datastore(operation, "target", profile)
    if target == "running" and not profile.writable_running:
        raise _not_writable("copy-config", target)
    source = parameters.datastore(operation, "source", profile)
    if source == target:
        raise refused("invalid-value", "target", f"source and target are both {target}")
    if (source, target) == ("running", "candidate"):
        # As discard-changes does: from now on the candidate follows running.
        session.server.datastores.discard(session.origin)
        return
    session.server.datastores.copy(session.origin, target, _source(session, operation))


def delete_config(session: Caller, operation: etree._Element) -> None:
    """``<delete-config>``."""
    parameters.datastore(operation, "target", session.server.profile)
    session.server.datastores.delete_startup(session.origin)


def _not_writable(operation: str, target: str) -> RpcError:
    return refused("operation-not-supported", "target", f"{operation} does not work on {target}")


def validate(session: Caller, operation: etree._Element) -> None:
    """``<validate>``."""
    _source(session, operation).validate()
    if parameters.datastore(operation, "source", session.server.profile) == "candidate":
        session.server.datastores.validated()


def _source(session: Caller, operation: etree._Element) -> Config:
    name = parameters.datastore(operation, "source", session.server.profile)
    if name == "config":
        given = parameters.inline_config(operation, "source")
        return Config.empty(session.server.schema).edit(given, "merge")
    return session.server.datastores.named(name)


def lock(session: Caller, operation: etree._Element) -> None:
    """``<lock>``."""
    session.server.datastores.lock(session.origin, parameters.datastore(operation, "target", session.server.profile))


def unlock(session: Caller, operation: etree._Element) -> None:
    """``<unlock>``."""
    session.server.datastores.unlock(session.origin, parameters.datastore(operation, "target", session.server.profile))


def commit(session: Caller, operation: etree._Element) -> None:
    """``<commit>``."""
    request = CommitRequest(
        confirmed=child(operation, "confirmed") is not None,
        timeout=number(operation, "confirm-timeout", 1, 2**32 - 1) or DEFAULT_CONFIRM_TIMEOUT,
        persist=text(operation, "persist"),
        persist_id=text(operation, "persist-id"),
    )
    if not request.confirmed and (request.persist is not None or child(operation, "confirm-timeout") is not None):
        name = "persist" if request.persist is not None else "confirm-timeout"
        raise refused("bad-element", name, f"{name} without confirmed")
    confirms = session.server.datastores.awaiting_confirmation and not request.confirmed
    session.server.datastores.commit(session.origin, request)
    if confirms and not session.server.datastores.awaiting_confirmation:
        revision = session.server.device.revision
        session.server.history.record(EventKind.CONFIRMED, session.origin, revision=revision)


def cancel_commit(session: Caller, operation: etree._Element) -> None:
    """``<cancel-commit>``."""
    session.server.datastores.cancel(session.origin, text(operation, "persist-id"))


def discard_changes(session: Caller, _operation: etree._Element) -> None:
    """``<discard-changes>``."""
    session.server.datastores.discard(session.origin)


# --------------------------------------------------- sessions and subscriptions


def _close_session(session: Caller, _operation: etree._Element) -> Content:
    session.closing = True
    return None


def _kill_session(session: Caller, operation: etree._Element) -> Content:
    wanted = number(operation, "session-id", 1, 2**32 - 1)
    if wanted is None:
        raise parameters.missing("session-id")
    victim = session.server.sessions.get(wanted)
    if victim is None or wanted == session.origin.session:
        raise refused("invalid-value", "session-id", f"session {wanted} can't be killed")
    victim.drop(Termination.KILLED, session.origin.session)
    return None


def _create_subscription(session: Caller, operation: etree._Element) -> Content:
    server = session.server
    if server.faults.strikes(FaultKind.SUBSCRIPTION_REFUSED):
        raise refused("operation-not-supported", "create-subscription", "notifications are not supported")
    stream = text(operation, "stream") or STREAM
    if stream != STREAM:
        raise refused("invalid-value", "stream", f"no stream {stream!r:.40}")
    start, stop = (parameters.moment(operation, name) for name in ("startTime", "stopTime"))
    if start is None and stop is not None:
        raise parameters.missing("startTime", ": stopTime is for replays")
    if start is not None and start > server.clock.now():
        raise refused("bad-element", "startTime", "startTime is in the future")
    if start is not None and stop is not None and stop < start:
        raise refused("bad-element", "stopTime", "stopTime is before startTime")
    if start is not None and server.replay is None:
        raise refused("operation-failed", "startTime", "replay is not supported")
    if session.subscription is not None:
        raise RpcError("in-use", "this session has a subscription already", type="protocol")
    session.subscribe(Subscription(parameters.read_filter(operation, server.profile), stop), start)
    return None


def _beyond_netconf(session: Caller, operation: etree._Element) -> Content:
    return oran.perform(session.server.equipment, operation)


def _base(name: str) -> str:
    return f"{{{BASE_NS}}}{name}"


_SUBSCRIBE = f"{{{NOTIFICATION_NS}}}create-subscription"
_GET_SCHEMA = f"{{{MONITORING_NS}}}get-schema"
_HANDLERS: dict[str, Handler] = {
    _base("get"): get,
    _base("get-config"): get_config,
    _base("edit-config"): edit_config,
    _base("copy-config"): copy_config,
    _base("delete-config"): delete_config,
    _base("lock"): lock,
    _base("unlock"): unlock,
    _base("validate"): validate,
    _base("commit"): commit,
    _base("cancel-commit"): cancel_commit,
    _base("discard-changes"): discard_changes,
    _base("close-session"): _close_session,
    _base("kill-session"): _kill_session,
    _SUBSCRIBE: _create_subscription,
    _GET_SCHEMA: get_schema,
    **dict.fromkeys(oran.OPERATIONS, _beyond_netconf),
}
_NEEDS: dict[str, Callable[[Profile], bool]] = {
    _base("validate"): lambda profile: profile.validate is not None,
    _base("commit"): lambda profile: profile.candidate,
    _base("discard-changes"): lambda profile: profile.candidate,
    _base("cancel-commit"): lambda profile: profile.confirmed_commit == "1.1",
    _SUBSCRIBE: lambda profile: profile.notification,
    _GET_SCHEMA: lambda profile: profile.monitoring,
}
