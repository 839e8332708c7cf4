"""Numbered sequences of NETCONF messages, and how replies are written down so that servers can be compared.

A sequence is a folder with ``input.xml``, whose root ``<sequence>`` names the profile of the station, and
``output.xml``, what it answered. Steps:

    <open session="b" user="viewer" base="1.0"/>   says hello; session "a" needs no such step
    <rpc session="a">OPERATION</rpc>               {b} in it stands for the id of session b
    <raw session="a">TEXT</raw>                    a message as it is
    <drop session="a"/>                            the connection breaks
    <advance seconds="30"/>                        time passes
    <foreign>CONFIG</foreign>                      somebody at the console changes running
    <restart/>                                     power fails and comes back
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lxml import etree

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
FOLDER = Path(__file__).parent
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
#: The station that all sequences are about.
STATION = "T-BOTH-1"

_WHO = ("session-id", "locked-by-session", "killed-by")


@dataclass(frozen=True)
class Sequence:
    """A sequence of steps.

    Attributes:
        profile: The NETCONF that the station speaks.
        only_here: Why other servers are not asked, empty when they are.
    """

    name: str
    profile: str
    only_here: str
    steps: tuple[etree._Element, ...]

    @property
    def folder(self) -> Path:
        return FOLDER / self.name


def read_sequence(folder: Path) -> Sequence:
    root = etree.parse(folder / "input.xml", etree.XMLParser(remove_comments=True)).getroot()
    return Sequence(folder.name, root.get("profile", "standard"), root.get("only-here", ""), tuple(root))


SEQUENCES = [read_sequence(path) for path in sorted(FOLDER.glob("[0-9][0-9]-*"))]


class Player(Protocol):
    """Something with a NETCONF server behind it."""

    async def open(self, session: str, user: str, base: str) -> None: ...

    async def send(self, session: str, message: str) -> etree._Element | None:
        """Send a message and return the reply, none if the server hung up instead."""

    async def drop(self, session: str) -> None: ...

    async def advance(self, seconds: float) -> None: ...

    async def foreign(self, config: etree._Element) -> None: ...

    async def restart(self) -> None: ...

    async def notifications(self) -> list[tuple[str, etree._Element]]:
        """What came unasked since the last time, by session."""

    @property
    def ids(self) -> Mapping[str, int]:
        """Session ids by name."""


async def play(sequence: Sequence, player: Player) -> etree._Element:
    """Carry a sequence out; return ``<answers>`` with one ``<answer>`` for each step."""
    answers = etree.Element("answers", nsmap={"nc": BASE, "ncEvent": NOTIFICATION})
    for number, step in enumerate(sequence.steps, 1):
        answer = etree.SubElement(answers, "answer", step=str(number))
        await _take(step, player, answer, str(number))
        for session, notification in await player.notifications():
            heard = etree.SubElement(answer, "heard", session=session)
            heard.append(normalised(notification, player.ids))
    return answers


async def _take(step: etree._Element, player: Player, answer: etree._Element, number: str) -> None:
    session = step.get("session", "a")
    if step.tag == "open":
        await player.open(session, step.get("user", "minka"), step.get("base", "1.1"))
    elif step.tag in ("rpc", "raw"):
        if session not in player.ids:
            await player.open(session, "minka", "1.1")
        message = (step.text or "").strip() if step.tag == "raw" else _rpc(step, number)
        for name, found in player.ids.items():
            message = message.replace(f"{{{name}}}", str(found))
        reply = await player.send(session, message)
        if reply is None:
            etree.SubElement(answer, "hung-up")
        else:
            answer.extend(list(normalised(reply, player.ids)))
    elif step.tag == "drop":
        await player.drop(session)
    elif step.tag == "advance":
        await player.advance(float(step.get("seconds", "0")))
    elif step.tag == "foreign":
        await player.foreign(step[0])
    else:
        assert step.tag == "restart", step.tag
        await player.restart()


def _rpc(step: etree._Element, number: str) -> str:
    rpc = etree.Element(f"{{{BASE}}}rpc", nsmap={"nc": BASE})
    rpc.set("message-id", number)
    rpc.extend([deepcopy(child) for child in step])
    return etree.tostring(rpc, encoding="unicode")


def normalised(message: etree._Element, ids: Mapping[str, int]) -> etree._Element:
    """A message without what differs from run to run, and without words meant for people."""
    names = {str(number): f"{{{name}}}" for name, number in ids.items()}
    copy = deepcopy(message)
    for element in list(copy.iter(tag=etree.Element)):
        local = etree.QName(element).localname
        if local in ("error-message", "source-host"):
            _remove(element)
        elif local in _WHO and element.text in names:
            element.text = names[element.text or ""]
        elif local == "data" and len(element) == 0 and "module" in (element.text or ""):
            found = re.search(r"\bmodule\s+([\w.-]+)", element.text or "")
            element.text = f"module {found[1] if found else '?'} …"
        elif element.text is not None and not element.text.strip():
            element.text = None
        if element.tail is not None and not element.tail.strip():
            element.tail = None
    etree.cleanup_namespaces(copy)
    return copy


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def pretty(answers: etree._Element) -> str:
    copy = deepcopy(answers)
    etree.indent(copy)
    return etree.tostring(copy, encoding="unicode") + "\n"
