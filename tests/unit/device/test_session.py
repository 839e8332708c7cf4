"""What goes onto the wire, and what answers mean, of one session."""

from __future__ import annotations

import pytest
from lxml import etree

from controller.models.behaviour import FollowUp
from controller.models.errors import DeviceRefusedError
from controller.nrm import namespaces as ns
from tests.unit.device.server import Server, hello_of, refusal, session_with

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


async def test_a_server_that_takes_no_persist_id_says_so() -> None:
    said = refusal("invalid-value", "Persist ID given in confirmed commit rpc.")
    server = Server(HELLO, answers={"commit": lambda commit: said if "persist-id" in leaves_of(commit) else "<ok/>"})
    session = await session_with(server)
    with pytest.raises(DeviceRefusedError, match="Persist ID given"):
        await session.commit_confirmed("t", 60, FollowUp.BOTH)
    await session.commit_confirmed("t", 60, FollowUp.PERSIST)
