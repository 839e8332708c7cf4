"""What goes onto the wire is what ncclient would send; where ncclient is wrong, what the RFCs say."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree
from ncclient.capabilities import Capabilities
from ncclient.devices.default import DefaultDeviceHandler
from ncclient.operations.edit import CancelCommit, Commit, CopyConfig, DiscardChanges, EditConfig
from ncclient.operations.lock import Lock, Unlock
from ncclient.operations.retrieve import Get, GetConfig
from ncclient.operations.rpc import RPC
from ncclient.operations.session import KillSession
from ncclient.transport.session import HelloHandler

from controller.drivers.netconf import requests
from controller.drivers.netconf.codec import encode_edit, read_filter
from controller.drivers.netconf.requests import Request
from controller.models.plan import Edit, Op
from controller.nrm.namespaces import NETCONF, NOTIFICATIONS
from controller.nrm.profiles import root_spec

HANDLER = DefaultDeviceHandler({"name": "default"})
OFFERED = Capabilities(
    f"urn:ietf:params:netconf:capability:{name}"
    for name in ("candidate:1.0", "confirmed-commit:1.1", "validate:1.1", "rollback-on-error:1.0", "startup:1.0")
)
ROOT = root_spec(("nr-28541",))


class Session:
    """What ncclient's operations ask of a session."""

    id = None
    server_capabilities = OFFERED
    message = ""

    def send(self, message: str) -> None:
        self.message = message

    def get_listener_instance(self, _kind: type) -> None:
        return

    def add_listener(self, listener: object) -> None:
        return


def ncclient(operation: type[RPC], *args: Any, **kwargs: Any) -> str:
    session = Session()
    rpc = operation(session, HANDLER, async_mode=True)
    rpc.request(*args, **kwargs)
    return session.message.replace(rpc.id, "1")


def ours(request: Request) -> str:
    return (request.before + b"1" + request.after).decode()


def canonical(message: str) -> str:
    """The message, whatever prefixes it has."""
    return ET.canonicalize(message.partition("?>")[2], rewrite_prefixes=True)


def wanted() -> etree._Element:
    return read_filter(ROOT, "PE-1")[0]


def config() -> etree._Element:
    path = "/ManagedElement[PE-1]"
    return encode_edit(
        ROOT, [Edit(op=Op.MERGE, path=path, before={}, owners=("host",), after={"userLabel": 'ñ & <"message-id="'})]
    )


CASES: dict[str, tuple[Callable[[], Request], Callable[[], str]]] = {
    "lock": (lambda: requests.lock("candidate"), lambda: ncclient(Lock, "candidate")),
    "unlock": (lambda: requests.unlock("running"), lambda: ncclient(Unlock, "running")),
    "discard-changes": (requests.discard_changes, lambda: ncclient(DiscardChanges)),
    "copy-config": (
        lambda: requests.copy_config("running", "startup"),
        lambda: ncclient(CopyConfig, source="running", target="startup"),
    ),
    "commit": (requests.commit, lambda: ncclient(Commit)),
    "confirmed commit": (
        lambda: requests.commit_confirmed("minka-<1>", 60),
        lambda: ncclient(Commit, confirmed=True, timeout="60", persist="minka-<1>"),
    ),
    "confirming commit": (lambda: requests.confirm("minka-1"), lambda: ncclient(Commit, persist_id="minka-1")),
    "cancel-commit": (lambda: requests.cancel_commit("minka-1"), lambda: ncclient(CancelCommit, persist_id="minka-1")),
    "kill-session": (lambda: requests.kill_session("7"), lambda: ncclient(KillSession, "7")),
    "get": (requests.get, lambda: ncclient(Get)),
    "get with a filter": (
        lambda: requests.get(wanted()),
        lambda: ncclient(Get, filter=("subtree", wanted())),
    ),
    "get-config": (
        lambda: requests.get_config("candidate", wanted()),
        lambda: ncclient(GetConfig, source="candidate", filter=("subtree", wanted())),
    ),
    "edit-config": (
        lambda: requests.edit_config("candidate", config(), test=True, rollback=True),
        lambda: ncclient(
            EditConfig,
            config=config(),
            target="candidate",
            default_operation="none",
            test_option="test-then-set",
            error_option="rollback-on-error",
        ),
    ),
    "edit-config without options": (
        lambda: requests.edit_config("running", config(), test=False, rollback=False),
        lambda: ncclient(EditConfig, config=config(), target="running", default_operation="none"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_request_is_the_one_that_ncclient_sends(case: str) -> None:
    own, oracle = CASES[case]
    assert canonical(ours(own())) == canonical(oracle())


def test_our_hello_is_the_one_that_ncclient_sends() -> None:
    oracle = HelloHandler.build(Capabilities([requests.BASE_1_0, requests.BASE_1_1]), HANDLER)
    assert canonical(requests.HELLO.decode()) == canonical(oracle)


@pytest.mark.parametrize("since", [None, datetime(2026, 5, 1, 12, tzinfo=UTC)])
def test_a_subscription_is_in_the_namespace_of_rfc_5277(since: datetime | None) -> None:
    """ncclient puts the start time into another one."""
    start = "" if since is None else "<startTime>2026-05-01T12:00:00+00:00</startTime>"
    operation = f'<create-subscription xmlns="{NOTIFICATIONS}">{start}</create-subscription>'
    expected = f'<?xml?><rpc xmlns="{NETCONF}" message-id="1">{operation}</rpc>'
    assert canonical(ours(requests.create_subscription(since))) == canonical(expected)


def test_requests_without_content_of_their_own_are_built_once() -> None:
    assert requests.discard_changes() is requests.discard_changes()
    assert requests.lock("candidate") is requests.lock("candidate")
