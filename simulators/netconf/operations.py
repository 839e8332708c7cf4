"""The operations of a session (RFC 6241 §7 and §8, RFC 5277, RFC 6022), one function each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from lxml import etree

from simulators.datastore import Config, RpcError
from simulators.netconf import library
from simulators.netconf.messages import BASE_NS, NOTIFICATION_NS, Request, child, number, text
from simulators.transactions import DEFAULT_CONFIRM_TIMEOUT, CommitRequest

if TYPE_CHECKING:
    from simulators.netconf.session import Session

WITH_DEFAULTS_NS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
WithDefaults = Literal["explicit", "trim", "report-all", "report-all-tagged"]
_WITH_DEFAULTS: Mapping[str, WithDefaults] = MappingProxyType(
    {
        "explicit": "explicit",
        "trim": "trim",
        "report-all": "report-all",
        "report-all-tagged": "report-all-tagged",
    }
)

_DATASTORES = frozenset(etree.QName(BASE_NS, name) for name in ("running", "candidate", "config"))

#: Elements of the reply, or the rendered content of its ``<data>``, or none for ok.
Content = Iterable[etree._Element] | str | None
Handler = Callable[["Session", etree._Element], Content]


def perform(session: Session, request: Request) -> Content:
    """Carry out an operation; none means that the reply is ok.

    Raises:
        RpcError, RpcErrors: it was refused.
    """
    handler = _HANDLERS.get(request.operation.tag)
    if handler is None or (request.operation.tag in _CONFIRMED_ONLY and not session.station.quirks.confirmed_commit):
        info = {"bad-element": request.name}
        raise RpcError("operation-not-supported", f"{request.name} is not supported", type="protocol", info=info)
    return handler(session, request.operation)


# ------------------------------------------------------------------- reading


def _get(session: Session, operation: etree._Element) -> Content:
    station, wanted = session.station, _filter(operation)
    found = station.datastores.running.to_text(
        filter=wanted, with_defaults=_with_defaults(operation), state=station.state()
    )
    return found + "".join(etree.tostring(element, encoding="unicode") for element in library.state(station, wanted))


def _get_config(session: Session, operation: etree._Element) -> Content:
    config = _config_of(session, operation, "source")
    return config.to_text(filter=_filter(operation), with_defaults=_with_defaults(operation))


def _filter(operation: etree._Element) -> etree._Element | None:
    found = child(operation, "filter")
    if found is None:
        return None
    kind = found.get("type", found.get(f"{{{BASE_NS}}}type", "subtree"))
    if kind != "subtree":
        info = {"bad-attribute": "type", "bad-element": "filter"}
        raise RpcError("bad-attribute", f"filters of type {kind!r:.40} are not supported", type="protocol", info=info)
    return found


def _with_defaults(operation: etree._Element) -> WithDefaults:
    found = operation.find(f"{{{WITH_DEFAULTS_NS}}}with-defaults")
    mode = "explicit" if found is None else (found.text or "").strip()
    if mode not in _WITH_DEFAULTS:
        info = {"bad-element": "with-defaults"}
        raise RpcError("invalid-value", f"with-defaults {mode!r:.40} is not supported", type="protocol", info=info)
    return _WITH_DEFAULTS[mode]


def _named_datastore(operation: etree._Element, parameter: str) -> str:
    """The datastore that a source or target names, ``config`` for one that is given in the message."""
    holder = child(operation, parameter)
    if holder is None:
        info = {"bad-element": parameter}
        raise RpcError("missing-element", f"{parameter} is missing", type="protocol", info=info)
    names = [etree.QName(element) for element in holder]
    if len(names) != 1 or names[0] not in _DATASTORES:
        info = {"bad-element": names[0].localname if names else parameter}
        raise RpcError("invalid-value", f"{parameter} names no datastore of this station", type="protocol", info=info)
    return names[0].localname


def _config_of(session: Session, operation: etree._Element, parameter: str) -> Config:
    name = _named_datastore(operation, parameter)
    datastores = session.station.datastores
    if name == "config":
        source = child(operation, parameter)
        given = None if source is None else child(source, "config")
        assert given is not None
        return Config.empty(session.station.schema).edit(given, "merge")
    return datastores.running if name == "running" else datastores.candidate


# ------------------------------------------------------------------- writing


def _edit_config(session: Session, operation: etree._Element) -> Content:
    if _named_datastore(operation, "target") != "candidate":
        raise _not_writable("edit-config")
    default = _choice(operation, "default-operation", ("merge", "replace", "none"))
    test = _choice(operation, "test-option", ("set", "test-then-set", "test-only"))
    # An edit is all or nothing, which each error-option permits once nothing was applied.
    _choice(operation, "error-option", ("stop-on-error", "continue-on-error", "rollback-on-error"))
    config = child(operation, "config")
    if config is None:
        info = {"bad-element": "config"}
        raise RpcError("missing-element", "config is missing (url is not supported)", type="protocol", info=info)
    # Only who asks for it gets the whole candidate tested (as with sysrepo); types, keys and names always are.
    station, explicit = session.station, child(operation, "test-option") is not None
    if explicit and test != "set":
        station.datastores.edit(session.origin, config, default, keep=False)
    if test != "test-only":
        station.datastores.edit(session.origin, config, default)
        station.edited(session.origin, config)
    return None


def _choice(operation: etree._Element, parameter: str, allowed: tuple[str, ...]) -> str:
    """An enumerated parameter; the first of ``allowed`` is the default."""
    value = text(operation, parameter)
    if value is None:
        return allowed[0]
    if value not in allowed:
        info = {"bad-element": parameter}
        raise RpcError("invalid-value", f"{parameter} {value!r:.40} is none of {allowed}", type="protocol", info=info)
    return value


def _copy_config(session: Session, operation: etree._Element) -> Content:
    if _named_datastore(operation, "target") != "candidate":
        raise _not_writable("copy-config")
    config = _config_of(session, operation, "source")
    session.station.datastores.replace_candidate(session.origin, config)
    return None


def _delete_config(_session: Session, operation: etree._Element) -> Content:
    _named_datastore(operation, "target")
    raise _not_writable("delete-config")


def _not_writable(operation: str) -> RpcError:
    info = {"bad-element": "target"}
    message = f"{operation} works on candidate only"
    return RpcError("operation-not-supported", message, type="protocol", info=info)


def _validate(session: Session, operation: etree._Element) -> Content:
    _config_of(session, operation, "source").validate()
    return None


# --------------------------------------------------------------------- locks


def _lock(session: Session, operation: etree._Element) -> Content:
    session.station.datastores.lock(session.origin, _lockable(operation))
    return None


def _unlock(session: Session, operation: etree._Element) -> Content:
    session.station.datastores.unlock(session.origin, _lockable(operation))
    return None


def _lockable(operation: etree._Element) -> str:
    name = _named_datastore(operation, "target")
    if name == "config":
        raise RpcError("invalid-value", "target is no datastore", type="protocol", info={"bad-element": "config"})
    return name


# -------------------------------------------------------------------- commit


def _commit(session: Session, operation: etree._Element) -> Content:
    request = CommitRequest(
        confirmed=child(operation, "confirmed") is not None,
        timeout=number(operation, "confirm-timeout", 1, 2**32 - 1) or DEFAULT_CONFIRM_TIMEOUT,
        persist=text(operation, "persist"),
        persist_id=text(operation, "persist-id"),
    )
    _check_commit(session, operation, request)
    confirms = session.station.datastores.awaiting_confirmation and not request.confirmed
    session.station.datastores.commit(session.origin, request)
    if confirms:
        session.station.confirmed(session.origin)
    return None


def _check_commit(session: Session, operation: etree._Element, request: CommitRequest) -> None:
    if not session.station.quirks.confirmed_commit and len(operation):
        name = etree.QName(operation[0]).localname
        info = {"bad-element": name}
        raise RpcError("unknown-element", "confirmed commits are not supported", type="protocol", info=info)
    if not request.confirmed and (request.persist is not None or child(operation, "confirm-timeout") is not None):
        name = "persist" if request.persist is not None else "confirm-timeout"
        raise RpcError("bad-element", f"{name} without confirmed", type="protocol", info={"bad-element": name})


def _cancel_commit(session: Session, operation: etree._Element) -> Content:
    session.station.datastores.cancel(session.origin, text(operation, "persist-id"))
    return None


def _discard_changes(session: Session, _operation: etree._Element) -> Content:
    session.station.datastores.discard(session.origin)
    return None


# ------------------------------------------------------------------ sessions


def _close_session(session: Session, _operation: etree._Element) -> Content:
    session.closing = True
    return None


def _kill_session(session: Session, operation: etree._Element) -> Content:
    wanted = number(operation, "session-id", 1, 2**32 - 1)
    if wanted is None:
        info = {"bad-element": "session-id"}
        raise RpcError("missing-element", "session-id is missing", type="protocol", info=info)
    victim = session.station.sessions.get(wanted)
    if victim is None or wanted == session.origin.session:
        info = {"bad-element": "session-id"}
        raise RpcError("invalid-value", f"session {wanted} can't be killed", type="protocol", info=info)
    victim.drop()
    return None


def _create_subscription(session: Session, operation: etree._Element) -> Content:
    stream = text(operation, "stream") or library.STREAM
    if stream != library.STREAM:
        raise RpcError("invalid-value", f"no stream {stream!r:.40}", type="protocol", info={"bad-element": "stream"})
    for parameter in ("startTime", "stopTime"):
        if child(operation, parameter) is not None:
            info = {"bad-element": parameter}
            raise RpcError("operation-failed", "replay is not supported", type="protocol", info=info)
    if session.subscribed:
        raise RpcError("operation-failed", "this session has a subscription already", type="protocol")
    session.subscription = _filter(operation)
    session.subscribed = True
    return None


def _get_schema(session: Session, operation: etree._Element) -> Content:
    return [library.schema_text(session.station, operation)]


def _base(name: str) -> str:
    return f"{{{BASE_NS}}}{name}"


_HANDLERS: dict[str, Handler] = {
    _base("get"): _get,
    _base("get-config"): _get_config,
    _base("edit-config"): _edit_config,
    _base("copy-config"): _copy_config,
    _base("delete-config"): _delete_config,
    _base("lock"): _lock,
    _base("unlock"): _unlock,
    _base("validate"): _validate,
    _base("commit"): _commit,
    _base("cancel-commit"): _cancel_commit,
    _base("discard-changes"): _discard_changes,
    _base("close-session"): _close_session,
    _base("kill-session"): _kill_session,
    f"{{{NOTIFICATION_NS}}}create-subscription": _create_subscription,
    f"{{{library.MONITORING_NS}}}get-schema": _get_schema,
}
_CONFIRMED_ONLY = frozenset({_base("cancel-commit")})
