"""The pool's port: HTTP/1.1 over TLS, with client certificates where a client shows one.

TLS runs through memory BIOs, since asyncio's own keeps 256 kB for every connection, and a pool's watches stay open.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from email.utils import format_datetime

import h11

from simulators.clock import Timer
from simulators.cloud.server.access import Caller
from simulators.cloud.server.answers import JSON, TEXT, Response
from simulators.cloud.server.api import Api
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.faults import ApiFaultKind, ApiFaults, spoiled
from simulators.cloud.server.requests import LARGEST_BODY, Request
from simulators.cloud.server.watches import Watch
from simulators.connections import Connections
from simulators.netconf.certificates import Authority

_READ = 64 * 1024
#: Bytes of a watch that wait for a client who does not read; more, and the watch ends, as a server ends it.
_UNREAD = 4 * 1024 * 1024
#: Bytes above which an answer is compressed for a client that takes it so.
_LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Tls:
    """A pool's certificates: its own with key, and that of the authority whose clients it believes; PEM."""

    certificate: str
    clients: str

    @classmethod
    def of_authority(cls, authority: Authority, pool: str, address: str) -> Tls:
        """Both of one authority."""
        return cls(authority.station(pool, address), authority.certificate)

    def context(self) -> ssl.SSLContext:
        """For the server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(cadata=self.clients)
        # OpenSSL takes the key from a file only; this one is in memory.
        with open(os.memfd_create("certificate"), "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
            file.write(self.certificate.encode())
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return context


@asynccontextmanager
async def listen(
    cluster: Cluster,
    address: str,
    port: int,
    tls: Tls,
    connections: Connections | None = None,
    faults: ApiFaults | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Serve while the context is open; give address and port (0 asks for any free one).

    Args:
        cluster: The pool.
        address: Where to listen.
        port: Port.
        tls: Its certificates.
        connections: Where the pool can be cut off from its clients.
        faults: What spoils its answers.
    """
    api, way = Api(cluster), connections or Connections()
    faults = ApiFaults(cluster.name) if faults is None else faults
    context: list[ssl.SSLContext] = []
    alive: set[_Connection] = set()

    def protocol() -> asyncio.Protocol:
        if not context:
            context.append(tls.context())
        return way.accept(lambda: _Connection(api, faults, context[0], alive))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, address, port)
    bound = server.sockets[0].getsockname()
    api.address = f"{bound[0]}:{bound[1]}"
    try:
        yield bound[0], bound[1]
    finally:
        server.close()
        for connection in list(alive):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One client: TLS, then one request after the other."""

    def __init__(self, api: Api, faults: ApiFaults, context: ssl.SSLContext, alive: set[_Connection]) -> None:
        self._api = api
        self._faults = faults
        self._alive = alive
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tcp: asyncio.Transport | None = None
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._caller: Caller | None = None
        self._greeted = False
        self._watch: Watch | None = None
        self._held: Timer | None = None
        self._audit = ""

    # ------------------------------------------------------------ from the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._tcp = transport
        self._alive.add(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if not self._greeted:
                self._tls.do_handshake()
                self._greeted = True
                self._caller = _named(self._tls.getpeercert() or {})
            while plain := self._tls.read(_READ):
                self._http.receive_data(plain)
                self._serve()
            self._hang_up()
        except ssl.SSLWantReadError:
            self._flush()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
        except ssl.SSLError:
            # What OpenSSL has to say about it is an alert among the outgoing bytes.
            self._hang_up()

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say of what is no HTTP what is wrong with it, where an answer may be given, and hang up."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = f"{error}\n".encode()
            headers = [("Content-Type", TEXT), ("Content-Length", str(len(body))), ("Connection", "close")]
            head = h11.Response(status_code=error.error_status_hint, headers=headers)
            parts = (head, h11.Data(data=body), h11.EndOfMessage())
            self._write(b"".join(self._http.send(part) or b"" for part in parts))
        self._hang_up()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)
        self._stop_watch()

    def abort(self) -> None:
        """Break the connection at once."""
        self._stop_watch()
        if self._tcp is not None:
            self._tcp.abort()

    # ---------------------------------------------------------------- requests

    def _serve(self) -> None:
        """Answer what is whole."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                self._body.clear()
                if self._http.they_are_waiting_for_100_continue:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            elif isinstance(event, h11.Data):
                if len(self._body) <= LARGEST_BODY:
                    self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._answer()
                if self._watch is not None or self._held is not None or self._http.our_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
            else:
                return

    def _answer(self) -> None:
        assert self._request is not None
        headers: dict[str, str] = {}
        for name, value in self._request.headers:
            word, text = name.decode().lower(), value.decode("latin-1")
            headers[word] = f"{headers[word]},{text}" if word in headers else text
        request = Request.of_target(
            self._request.method.decode(),
            self._request.target.decode("latin-1"),
            headers=headers,
            body=bytes(self._body),
            certificate=self._caller,
        )
        strikes = self._faults.strikes(request)
        if ApiFaultKind.DROP_BEFORE in strikes:
            self.abort()
            return
        found = spoiled(self._api, request, strikes) if strikes else self._api.handle(request)
        self._audit = request.header("audit-id") or str(uuid.uuid4())
        if isinstance(found, Response) and len(found.body) > _LARGE and _takes_gzip(request):
            packed = (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
            found = replace(found, body=gzip.compress(found.body, 1, mtime=0), headers=(*found.headers, *packed))
        if ApiFaultKind.DROP_AFTER in strikes:
            self.abort()
        elif (delay := strikes.get(ApiFaultKind.DELAY)) is not None:
            self._held = self._api.cluster.clock.call_later(delay.seconds, lambda: self._give_late(found))
        else:
            self._give(found)

    def _give_late(self, found: Response | Watch) -> None:
        self._held = None
        if self._tcp is None or self._tcp.is_closing():
            return
        self._give(found)
        if self._watch is None:
            self._go_on()

    def _give(self, found: Response | Watch) -> None:
        if isinstance(found, Watch):
            head = [*self._head(JSON), ("Transfer-Encoding", "chunked")]
            self._write(self._http.send(h11.Response(status_code=200, headers=head)))
            self._watch = found
            found.start(self)
        else:
            self._respond(found)

    def _respond(self, response: Response) -> None:
        headers = [
            *self._head(response.content_type),
            ("Content-Length", str(len(response.body))),
            *response.headers,
        ]
        head = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        assert self._request is not None
        body = b"" if self._request.method == b"HEAD" else self._http.send(h11.Data(data=response.body)) or b""
        self._write(head + body + (self._http.send(h11.EndOfMessage()) or b""))

    def _head(self, content_type: str) -> list[tuple[str, str]]:
        """What all answers begin with."""
        now = format_datetime(self._api.cluster.clock.now(), usegmt=True)
        head = [("Audit-Id", self._audit), ("Cache-Control", "no-cache, private")]
        return [*head, ("Content-Type", content_type), ("Date", now)]

    # --------------------------------------------------------- the sink of a watch

    def send(self, line: bytes) -> None:
        """Write a line, unless the client has not read for long."""
        self._write(self._http.send(h11.Data(data=line)))
        if self._tcp is not None and self._tcp.get_write_buffer_size() > _UNREAD:
            self.abort()

    def end(self) -> None:
        """The watch is over; the next request may come."""
        self._watch = None
        self._write(self._http.send(h11.EndOfMessage()))
        self._go_on()

    def _go_on(self) -> None:
        """Serve what came while an answer was under way."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._serve()
        elif self._http.our_state is h11.MUST_CLOSE:
            self._hang_up()

    def _stop_watch(self) -> None:
        if self._held is not None:
            self._held.cancel()
            self._held = None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    # ------------------------------------------------------------------ to the network

    def _write(self, data: bytes | None) -> None:
        left = memoryview(data or b"")
        with suppress(ssl.SSLError):
            while left:
                left = left[self._tls.write(left) :]
        self._flush()

    def _flush(self) -> None:
        if self._tcp is not None and self._outgoing.pending:
            self._tcp.write(self._outgoing.read())

    def _hang_up(self) -> None:
        with suppress(ssl.SSLError):  # it wants the client's close_notify, for which nobody waits
            self._tls.unwrap()
        self._flush()
        if self._tcp is not None:
            self._tcp.close()


def _takes_gzip(request: Request) -> bool:
    accepted = request.header("accept-encoding").split(",")
    return any(one.partition(";")[0].strip() == "gzip" for one in accepted)


def _named(certificate: Mapping[str, object]) -> Caller | None:
    """The user that a client's certificate names: common name, and organisations as groups."""
    subject = certificate.get("subject", ())
    assert isinstance(subject, tuple)
    parts = [(name, value) for part in subject for name, value in part]
    user = next((value for name, value in parts if name == "commonName"), "")
    if not user:
        return None
    return Caller(user, tuple(value for name, value in parts if name == "organizationName"))
