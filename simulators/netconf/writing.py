"""Operations on datastores: edits, copies, validation, locks and commits (RFC 6241 §7, §8.2 to §8.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lxml import etree

from simulators.datastore import Config, ErrorOption, RpcError
from simulators.netconf import parameters
from simulators.netconf.datastores import DEFAULT_CONFIRM_TIMEOUT, CommitRequest, EditRequest, TestOption
from simulators.netconf.messages import child, number, text
from simulators.netconf.parameters import refused

if TYPE_CHECKING:
    from simulators.netconf.session import Session

_TESTS: tuple[TestOption, ...] = ("test-then-set", "set", "test-only")
_ERRORS = tuple(option.value for option in ErrorOption)
_OPERATIONS = ("merge", "replace", "none")


def edit_config(session: Session, operation: etree._Element) -> None:
    """``<edit-config>``."""
    profile = session.station.profile
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
    session.station.datastores.edit(session.origin, request)
    if request.test != "test-only":
        session.station.edited(session.origin, config)


def _test_option(session: Session, operation: etree._Element) -> TestOption:
    profile = session.station.profile
    named = parameters.choice(operation, "test-option", _TESTS)
    if named is None:
        return "test-then-set" if profile.validate is not None and profile.tests_edits else "set"
    if profile.validate is None:
        raise refused("unknown-element", "test-option", "test-option needs the validate capability")
    if named == "test-only" and profile.validate == "1.0":
        raise refused("invalid-value", "test-option", "test-only needs validate:1.1")
    return cast("TestOption", named)


def _error_option(session: Session, operation: etree._Element) -> ErrorOption:
    profile = session.station.profile
    named = parameters.choice(operation, "error-option", _ERRORS)
    if named is None:
        # Who leaves the test of the whole to commit still looks at an edit before any of it is applied.
        return ErrorOption.STOP if profile.tests_edits else ErrorOption.ROLLBACK
    if named == ErrorOption.ROLLBACK.value and not profile.rollback_on_error:
        raise refused("invalid-value", "error-option", "rollback-on-error is not supported")
    return ErrorOption(named)


def copy_config(session: Session, operation: etree._Element) -> None:
    """``<copy-config>``."""
    profile = session.station.profile
    target = parameters.datastore(operation, "target", profile)
    if target == "running" and not profile.writable_running:
        raise _not_writable("copy-config", target)
    source = parameters.datastore(operation, "source", profile)
    if source == target:
        raise refused("invalid-value", "target", f"source and target are both {target}")
    if (source, target) == ("running", "candidate"):
        # Which is what discard-changes does: from now on the candidate follows running.
        session.station.datastores.discard(session.origin)
        return
    session.station.datastores.copy(session.origin, target, _source(session, operation))


def delete_config(session: Session, operation: etree._Element) -> None:
    """``<delete-config>``."""
    parameters.datastore(operation, "target", session.station.profile)
    session.station.datastores.delete_startup(session.origin)


def _not_writable(operation: str, target: str) -> RpcError:
    return refused("operation-not-supported", "target", f"{operation} does not work on {target}")


def validate(session: Session, operation: etree._Element) -> None:
    """``<validate>``."""
    _source(session, operation).validate()
    if parameters.datastore(operation, "source", session.station.profile) == "candidate":
        session.station.datastores.validated()


def _source(session: Session, operation: etree._Element) -> Config:
    name = parameters.datastore(operation, "source", session.station.profile)
    if name == "config":
        given = parameters.inline_config(operation, "source")
        return Config.empty(session.station.schema).edit(given, "merge")
    return session.station.datastores.named(name)


def lock(session: Session, operation: etree._Element) -> None:
    """``<lock>``."""
    session.station.datastores.lock(session.origin, parameters.datastore(operation, "target", session.station.profile))


def unlock(session: Session, operation: etree._Element) -> None:
    """``<unlock>``."""
    session.station.datastores.unlock(
        session.origin, parameters.datastore(operation, "target", session.station.profile)
    )


def commit(session: Session, operation: etree._Element) -> None:
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
    confirms = session.station.datastores.awaiting_confirmation and not request.confirmed
    session.station.datastores.commit(session.origin, request)
    if confirms and not session.station.datastores.awaiting_confirmation:
        session.station.confirmed(session.origin)


def cancel_commit(session: Session, operation: etree._Element) -> None:
    """``<cancel-commit>``."""
    session.station.datastores.cancel(session.origin, text(operation, "persist-id"))


def discard_changes(session: Session, _operation: etree._Element) -> None:
    """``<discard-changes>``."""
    session.station.datastores.discard(session.origin)
