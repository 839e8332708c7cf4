"""Debian's netconfd as a player of sequences, and what it and our stations answer, in comparable words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import yaml
from lxml import etree

from simulators.netconf.framing import Decoder, encode
from tests.conformance.netconf.sequences import BASE, STATION, Sequence
from tests.support.netconfd import Netconfd

DIFFERENCES = Path(__file__).parents[2] / "conformance" / "netconf" / "differences.yaml"
_ME = "urn:3gpp:sa5:_3gpp-common-managed-element"
#: Seconds that netconfd may take for an answer.
_PATIENCE = 20
#: Its timers run only when it hears nothing for a second.
_LATE = 1.5
_RESET = (
    "<discard-changes/>",
    (
        "<edit-config><target><candidate/></target><default-operation>none</default-operation>"
        f'<config xmlns:nc="{BASE}"><ManagedElement xmlns="{_ME}" nc:operation="remove"><id>{STATION}</id>'
        "</ManagedElement></config></edit-config>"
    ),
    (
        "<edit-config><target><candidate/></target>"
        f'<config><ManagedElement xmlns="{_ME}"><id>{STATION}</id><attributes><userLabel>{STATION}</userLabel>'
        "<priorityLabel>1</priorityLabel></attributes></ManagedElement></config></edit-config>"
    ),
    "<commit/>",
)


class _Line:
    """One session."""

    def __init__(self, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._chunked = False
        self.heard: list[etree._Element] = []

    async def greet(self, base: str) -> int:
        name = f"<capability>urn:ietf:params:netconf:base:{base}</capability>"
        hello = f'<hello xmlns="{BASE}"><capabilities>{name}</capabilities></hello>'
        self._writer.write(encode(hello.encode(), chunked=False))
        message = await self._next()
        assert message is not None
        self._chunked = self._decoder.chunked = base == "1.1"
        return int(message.findtext(f"{{{BASE}}}session-id") or 0)

    async def ask(self, message: str) -> etree._Element | None:
        try:
            self._writer.write(encode(message.encode(), chunked=self._chunked))
        except BrokenPipeError:
            return None
        while True:
            found = await self._next()
            if found is None or found.tag == f"{{{BASE}}}rpc-reply":
                return found
            self.heard.append(found)

    async def _next(self) -> etree._Element | None:
        while True:
            for message in self._decoder.messages():
                return etree.fromstring(message)
            data = await asyncio.wait_for(self._reader.read(65536), _PATIENCE)
            if not data:
                return None
            self._decoder.feed(data)


class NetconfdPlayer:
    """See ``Player``; use as a context, so that no session is left behind."""

    def __init__(self, server: Netconfd) -> None:
        self._ssh = server.ssh
        self._stack = AsyncExitStack()
        self._lines: dict[str, _Line] = {}
        self._connections: dict[str, asyncssh.SSHClientConnection] = {}
        self.ids: dict[str, int] = {}

    async def __aenter__(self) -> NetconfdPlayer:
        await self._reset()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _reset(self) -> None:
        await self.open("reset", "", "1.1")
        # A commit with a token outlives the sequence that left it.
        await self.send("reset", _rpc("<cancel-commit><persist-id>tok</persist-id></cancel-commit>"))
        for operation in _RESET:
            reply = await self.send("reset", _rpc(operation))
            assert reply is not None
            assert reply[0].tag == f"{{{BASE}}}ok", (operation, etree.tostring(reply, encoding="unicode"))
        await self.send("reset", _rpc("<close-session/>"))
        await self.drop("reset")
        del self.ids["reset"]

    async def open(self, session: str, user: str, base: str) -> None:
        connection = await asyncssh.connect(
            "127.0.0.1",
            self._ssh.port,
            username=self._ssh.username,
            client_keys=[str(self._ssh.client_key)],
            known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{self._ssh.port} {self._ssh.host_key}"),
            config=None,
            agent_path=None,
        )
        await self._stack.enter_async_context(connection)
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        line = _Line(reader, writer)
        self.ids[session] = await line.greet(base)
        self._lines[session], self._connections[session] = line, connection

    async def send(self, session: str, message: str) -> etree._Element | None:
        return await self._lines[session].ask(message)

    async def drop(self, session: str) -> None:
        self._connections[session].abort()
        await self._connections[session].wait_closed()
        # The subsystem behind sshd notices a moment later.
        await asyncio.sleep(0.3)

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds + _LATE)

    async def foreign(self, config: etree._Element) -> None:
        raise NotImplementedError("netconfd has no console")

    async def restart(self) -> None:
        raise NotImplementedError("netconfd is not restarted")

    async def notifications(self) -> list[tuple[str, etree._Element]]:
        """None: its notifications are its own."""
        return []


def _rpc(operation: str) -> str:
    return f'<rpc xmlns="{BASE}" message-id="0">{operation}</rpc>'


# ------------------------------------------------------------------ comparing


def outcome(answer: etree._Element) -> str:
    """An answer in words: ``ok``, the tags of its errors, or its data without regard to order among kinds."""
    names = [child for child in answer if child.tag != "heard"]
    if not names:
        return "nothing"
    errors = [child.findtext(f"{{{BASE}}}error-tag") or "?" for child in names if child.tag == f"{{{BASE}}}rpc-error"]
    if errors:
        return "error " + " ".join(sorted(errors))
    if names[0].tag in (f"{{{BASE}}}ok", "hung-up"):
        return etree.QName(names[0]).localname
    return "data " + "".join(_words(child) for child in names[0])


def _words(element: etree._Element) -> str:
    name = etree.QName(element).localname
    marks = "".join(f" {etree.QName(key).localname}={value!s}" for key, value in sorted(element.attrib.items()))
    children = sorted(element.iterchildren(tag=etree.Element), key=lambda child: str(child.tag))
    inside = "".join(map(_words, children)) if children else (element.text or "").strip()
    return f"<{name}{marks}>{inside}</>"


@dataclass(frozen=True)
class Difference:
    """What two servers answered to one step."""

    ours: str
    theirs: str


def differences(ours: etree._Element, theirs: etree._Element) -> dict[int, Difference]:
    """Differences by number of the step."""
    pairs = ((outcome(one), outcome(other)) for one, other in zip(ours, theirs, strict=True))
    return {number: Difference(one, other) for number, (one, other) in enumerate(pairs, 1) if one != other}


def explained() -> Mapping[str, dict[int, Difference]]:
    """The differences that are explained, by sequence."""
    found: dict[str, dict[int, Difference]] = {}
    for reason in yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8")):
        assert reason["why"].strip()
        for case in reason["cases"]:
            steps = found.setdefault(case["sequence"], {})
            assert case["step"] not in steps, f"{case['sequence']}, step {case['step']} is explained twice"
            steps[case["step"]] = Difference(case["ours"], case["netconfd"])
    return found


def asked_elsewhere(sequence: Sequence) -> bool:
    """Whether other servers are asked this sequence."""
    return not sequence.only_here
