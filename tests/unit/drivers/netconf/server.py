"""A NETCONF server in memory that answers as some real ones do, behind the true transport and session."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from controller.drivers.netconf.capabilities import KnownModules
from controller.drivers.netconf.framing import frame
from controller.drivers.netconf.session import NetconfSession
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.transport import Borrowed, Transport
from controller.nrm import namespaces as ns

NS = f'xmlns="{ns.NETCONF}"'
LIB = f'xmlns="{ns.YANG_LIBRARY}"'
STATION = "PE-1"
ELEMENT = (
    f'<ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>{STATION}</id><attributes><priorityLabel>1</priorityLabel>'
    "</attributes></ManagedElement>"
)
ALARMS = (
    f'<active-alarm-list xmlns="{ns.ORAN_FM}"><active-alarms><fault-id>9</fault-id><fault-source>ru-1</fault-source>'
    "<fault-severity>MAJOR</fault-severity><is-cleared>false</is-cleared><fault-text>VSWR</fault-text>"
    "</active-alarms></active-alarm-list>"
)


def hello_of(name: str) -> tuple[str, ...]:
    """A hello of a real server (see ``hellos/README.md``)."""
    return tuple((Path(__file__).parent / "hellos" / f"{name}.txt").read_text().split())


def modules_state(*namespaces: str, features: Iterable[str] = ()) -> str:
    """A library as in RFC 7895."""
    modules = (_module(one, features) for one in namespaces)
    return f"<modules-state {LIB}>{''.join(modules)}</modules-state>"


def _module(namespace: str, features: Iterable[str]) -> str:
    named = "".join(f"<feature>{one}</feature>" for one in features)
    return f"<module><name>m</name><namespace>{namespace}</namespace>{named}</module>"


def yang_library(*namespaces: str, imported: Iterable[str] = (), features: Iterable[str] = ()) -> str:
    """A library as in RFC 8525, with these features of all of its modules."""
    modules = [_module(one, features) for one in namespaces]
    modules += [
        f"<import-only-module><name>i</name><namespace>{one}</namespace></import-only-module>" for one in imported
    ]
    return f"<yang-library {LIB}><module-set><name>all</name>{''.join(modules)}</module-set></yang-library>"


def refusal(tag: str, message: str = "", rest: str = "") -> str:
    """An rpc-error."""
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag><error-severity>error"
        f"</error-severity><error-message>{message}</error-message>{rest}</rpc-error>"
    )


@dataclass
class Server:
    """One server.

    Attributes:
        hello: Its capability URIs.
        state: What it answers with to a get, by qualified name of the top node; a name that is missing is refused.
        answers: What it answers to other operations, by name; ok where that is missing.
        asked: Top nodes of the filters that it was sent, by their local names.
        sent: Operations that it was sent, as elements.
    """

    hello: tuple[str, ...]
    state: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Callable[[etree._Element], str]] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    sent: list[etree._Element] = field(default_factory=list)

    def answer(self, operation: etree._Element) -> str:
        """The content of its reply."""
        self.sent.append(operation)
        name = etree.QName(operation).localname
        if name in self.answers:
            return self.answers[name](operation)
        return self._get(operation) if name in ("get", "get-config") else "<ok/>"

    def _get(self, operation: etree._Element) -> str:
        wanted = [element for element in operation.iter() if element.getparent().tag == f"{{{ns.NETCONF}}}filter"]  # type: ignore[union-attr]
        self.asked.append([etree.QName(element).localname for element in wanted])
        for element in wanted:
            if element.tag not in self.state:
                name = etree.QName(element)
                return refusal(
                    "operation-failed",
                    f'Subtree filter node "{name.localname}" namespace "{name.namespace}" does not match',
                )
        return f"<data>{''.join(self.state[element.tag] for element in wanted)}</data>"


class _Channel:
    def __init__(self, transport: Transport, server: Server) -> None:
        self._transport = transport
        self._server = server

    def write(self, data: bytes) -> None:
        found = re.search(rb"<(?:\w+:)?rpc[ >].*</(?:\w+:)?rpc>", data, re.DOTALL)
        if found is None:
            return
        rpc = etree.fromstring(re.sub(rb"\n#\d+\n|\n##\n", b"", found[0]))
        content = self._server.answer(rpc[0])
        reply = f'<rpc-reply message-id="{rpc.get("message-id")}" {NS}>{content}</rpc-reply>'.encode()
        asyncio.get_running_loop().call_soon(self._transport.data_received, frame(reply, chunked=True), None)

    def abort(self) -> None:
        return


async def session_with(
    server: Server, known: KnownModules | None = None, profiles: tuple[str, ...] = ("nr-28541",), station: str = STATION
) -> NetconfSession:
    """A session, hellos exchanged."""
    transport = Transport(station, 1)
    transport.connection_made(_Channel(transport, server))
    greeting = asyncio.ensure_future(transport.greet())
    await asyncio.sleep(0)
    uris = "".join(f"<capability>{uri.replace('&', '&amp;')}</capability>" for uri in server.hello)
    hello = f"<hello {NS}><capabilities>{uris}</capabilities><session-id>7</session-id></hello>"
    transport.data_received(frame(hello.encode(), chunked=False), None)
    await greeting
    target = NetconfTarget(station, profiles, "127.0.0.1", 830, "", "minka", "env:X")
    return NetconfSession(target, Borrowed(), transport, known)
