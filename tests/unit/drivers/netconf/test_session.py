"""What goes onto the wire, and what answers mean, of one session."""

from __future__ import annotations

import gc
from collections.abc import Callable
from weakref import ref

import pytest
from lxml import etree

from controller.drivers.protocols import startup
from controller.models.behaviour import FollowUp
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import DeviceBusyError, DeviceRefusedError, UncommittedEditsError
from controller.nrm import namespaces as ns
from tests.unit.drivers.netconf.server import ELEMENT, Server, hello_of, refusal, session_with

HELLO = hello_of("netconfd-2.14")


def leaves_of(commit: etree._Element) -> dict[str, str | None]:
    return {etree.QName(leaf).localname: leaf.text for leaf in commit}


@pytest.mark.parametrize(
    ("form", "tokens"),
    [
        (None, {"persist": "t"}),
        (FollowUp.BOTH, {"persist": "t", "persist-id": "t"}),
        (FollowUp.PERSIST_ID, {"persist-id": "t"}),
        (FollowUp.PERSIST, {"persist": "t"}),
    ],
)
async def test_a_confirmed_commit_names_its_token_as_the_server_wants_it(
    form: FollowUp | None, tokens: dict[str, str]
) -> None:
    server = Server(HELLO)
    await (await session_with(server)).commit_confirmed("t", 60, form)
    assert leaves_of(server.sent[-1]) == {"confirmed": None, "confirm-timeout": "60", **tokens}
    assert {etree.QName(leaf).namespace for leaf in server.sent[-1]} == {ns.NETCONF}


@pytest.mark.parametrize("form", [None, *FollowUp])
async def test_no_confirmed_commit_goes_to_a_server_that_would_not_know_its_token(form: FollowUp | None) -> None:
    """One of version 1.0 has no persist; another might take it for a commit for good."""
    server = Server(tuple(uri.replace(":confirmed-commit:1.1", ":confirmed-commit:1.0") for uri in HELLO))
    with pytest.raises(DeviceRefusedError, match=r":confirmed-commit:1\.1"):
        await (await session_with(server)).commit_confirmed("t", 60, form)
    assert server.sent == []


async def test_running_is_copied_to_startup_where_a_server_has_one() -> None:
    server = Server((*HELLO, "urn:ietf:params:netconf:capability:startup:1.0"))
    known = startup(await session_with(server))
    assert known is not None
    await known.copy_to_startup()
    assert [etree.QName(leaf[0]).localname for leaf in server.sent[-1]] == ["startup", "running"]
    assert startup(await session_with(Server(HELLO))) is None


async def test_a_server_that_takes_no_persist_id_says_so() -> None:
    said = refusal("invalid-value", "Persist ID given in confirmed commit rpc.")
    server = Server(HELLO, answers={"commit": lambda commit: said if "persist-id" in leaves_of(commit) else "<ok/>"})
    session = await session_with(server)
    with pytest.raises(DeviceRefusedError, match="Persist ID given"):
        await session.commit_confirmed("t", 60, FollowUp.BOTH)
    await session.commit_confirmed("t", 60, FollowUp.PERSIST)


#: A server whose running can be written to directly, beside its candidate.
DIRECT = (*HELLO, "urn:ietf:params:netconf:capability:writable-running:1.0")


def denied(holder: str) -> str:
    return refusal("lock-denied", "lock denied", f"<error-info><session-id>{holder}</session-id></error-info>")


def only(datastore: str, answer: str) -> Callable[[etree._Element], str]:
    """An answer to what is about a datastore; ok to the rest."""
    return lambda operation: answer if operation.find(f".//{{*}}{datastore}") is not None else "<ok/>"


def sent(server: Server) -> list[tuple[str, str]]:
    """Operations on datastores, and their targets."""
    return [(etree.QName(each).localname, etree.QName(each[0][0]).localname) for each in server.sent]


async def test_running_that_somebody_else_locked_is_an_obstacle() -> None:
    """And the candidate is given back to them."""
    server = Server(DIRECT, answers={"lock": only("running", denied("17"))})
    session = await session_with(server)
    with pytest.raises(DeviceBusyError) as busy:
        await session.lock()
    assert busy.value.holder == "17"
    assert sent(server) == [("lock", "candidate"), ("lock", "running"), ("unlock", "candidate")]
    assert session.reusable


@pytest.mark.parametrize("answer", [denied("0"), refusal("operation-not-supported")], ids=["by nobody", "refused"])
async def test_running_that_nobody_can_lock_is_none(answer: str) -> None:
    server = Server(DIRECT, answers={"lock": only("running", answer)})
    session = await session_with(server)
    await session.lock()
    await session.unlock()
    assert sent(server) == [("lock", "candidate"), ("lock", "running"), ("unlock", "candidate")]


async def test_both_are_locked_and_unlocked() -> None:
    server = Server(DIRECT)
    session = await session_with(server)
    await session.lock()
    assert not session.reusable
    await session.unlock()
    assert sent(server) == [("lock", "candidate"), ("lock", "running"), ("unlock", "running"), ("unlock", "candidate")]
    assert session.reusable


@pytest.mark.parametrize("datastore", ["running", "candidate"])
async def test_a_session_whose_unlock_failed_is_nobody_elses(datastore: str) -> None:
    """It may still have the lock: the next caller's transaction would not have taken it."""
    server = Server(DIRECT, answers={"unlock": only(datastore, refusal("operation-failed"))})
    session = await session_with(server)
    await session.lock()
    with pytest.raises(DeviceRefusedError):
        await session.unlock()
    assert not session.reusable
    del server.answers["unlock"]
    await session.unlock()
    assert session.reusable


@pytest.mark.parametrize("tag", ["operation-failed", "resource-denied"])
async def test_a_candidate_that_somebody_edited_is_busy_and_names_the_nodes(tag: str) -> None:
    top = f"{{{ns.MANAGED_ELEMENT}}}ManagedElement"
    edited = ELEMENT.replace("<priorityLabel>1<", "<priorityLabel>2<")
    reading = {
        "get": lambda _: f"<data>{ELEMENT}</data>",
        "get-config": lambda _: f"<data>{edited}</data>",
        "lock": lambda _: refusal(tag, "discard-changes needed"),
    }
    session = await session_with(Server(HELLO, {top: ELEMENT}, answers=reading))
    with pytest.raises(
        UncommittedEditsError, match=r"did not commit \(/ManagedElement\[PE-1\]\).*discard-changes needed"
    ):
        await session.lock()


@pytest.mark.parametrize("tag", ["lock-denied", "in-use"])
@pytest.mark.parametrize("dirty", [True, False])
async def test_a_lock_that_nobody_holds_is_denied_because_of_edits_if_the_candidate_has_some(
    tag: str, *, dirty: bool
) -> None:
    """RFC 6241 §7.5 allows session 0 for both; clixon answers so for a modified candidate."""
    top = f"{{{ns.MANAGED_ELEMENT}}}ManagedElement"
    edited = ELEMENT.replace("<priorityLabel>1<", "<priorityLabel>2<") if dirty else ELEMENT
    reading = {
        "get": lambda _: f"<data>{ELEMENT}</data>",
        "get-config": lambda _: f"<data>{edited}</data>",
        "lock": lambda _: refusal(tag, "session 0 has it"),
    }
    session = await session_with(Server(HELLO, {top: ELEMENT}, answers=reading))
    with pytest.raises(DeviceBusyError, match="session 0 has it") as denied:
        await session.lock()
    assert isinstance(denied.value, UncommittedEditsError) is dirty
    assert ("/ManagedElement[PE-1]" in str(denied.value)) is dirty
    assert denied.value.holder == "0"


async def test_a_lock_that_is_refused_for_another_reason_stays_refused() -> None:
    session = await session_with(Server(HELLO, answers={"lock": lambda _: refusal("access-denied")}))
    with pytest.raises(DeviceRefusedError, match="access-denied"):
        await session.lock()


LIST = "/ManagedElement[PE-1]/AlarmList[al]"
ACKNOWLEDGE = Operation(
    kind=OperationKind.ACKNOWLEDGE, subject=LIST, seconds=60, records=("a-1", "a & 2"), user="ana<script>"
)


async def test_an_acknowledgement_merges_into_records_and_is_committed() -> None:
    server = Server(HELLO)
    assert await (await session_with(server)).operate(ACKNOWLEDGE) == ""
    edit, commit = server.sent
    assert [etree.QName(one).localname for one in (edit, commit)] == ["edit-config", "commit"]
    assert edit.findtext(f"{{{ns.NETCONF}}}default-operation") == "none"
    names = ("alarmId", "ackUserId", "ackSystemId", "ackState")
    records = list(edit.iter(f"{{{ns.MANAGED_ELEMENT}}}alarmRecords"))
    assert [[one.findtext(f"{{{ns.MANAGED_ELEMENT}}}{name}") for name in names] for one in records] == [
        ["a-1", "ana<script>", "minka", "ACKNOWLEDGED"],
        ["a & 2", "ana<script>", "minka", "ACKNOWLEDGED"],
    ]
    assert {one.get(f"{{{ns.NETCONF}}}operation") for one in records} == {"merge"}
    keys = [one.text for one in edit.iter(f"{{{ns.MANAGED_ELEMENT}}}id")]
    assert keys == ["PE-1", "al"]


@pytest.mark.parametrize("refused", ["edit-config", "commit"])
async def test_an_acknowledgement_that_is_refused_leaves_nothing_in_the_candidate(refused: str) -> None:
    server = Server(HELLO, answers={refused: lambda _: refusal("operation-not-supported")})
    with pytest.raises(DeviceRefusedError):
        await (await session_with(server)).operate(ACKNOWLEDGE)
    assert etree.QName(server.sent[-1]).localname == "discard-changes"


async def test_who_keeps_an_answer_gets_the_very_same_again_while_the_device_says_the_same() -> None:
    """Also on an idle session, which keeps nothing by itself: health checks read thousands of devices all the time."""
    said = [ELEMENT]
    server = Server(HELLO, answers={"get": lambda _: f"<data>{said[0]}</data>"})
    session = await session_with(server)
    first = await session.read()
    session.forget()
    again = await session.read()
    assert again is first
    said[0] = ELEMENT.replace("<priorityLabel>1<", "<priorityLabel>2<")
    other = await session.read()
    assert other != first
    assert await session.read() is other, "and not what it said once"
    session.forget()
    kept = ref(other)
    del other
    gc.collect()
    assert kept() is None
    assert (await session.read()).tree
