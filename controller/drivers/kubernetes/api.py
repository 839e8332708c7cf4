"""The Kubernetes API of one pool: requests, answers, and their errors.

Why no client library stands below: docs/explanation/cloud.md. As in ``controller.drivers.netconf.tls``, nothing that is
raised carries a cause or a context: requests have the token in them.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
from pydantic import SecretStr

from controller.drivers.address import addresses_of, not_reached
from controller.drivers.certificates import tls_context
from controller.drivers.decoding import LONG, decoded
from controller.drivers.kubernetes.codec import MANAGER, Object, Place
from controller.drivers.kubernetes.target import PoolTarget
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    InputError,
    NotPermittedError,
    SessionLostError,
    UnreachableError,
    in_words,
)
from controller.models.metrics import Observations
from controller.models.untrusted import visible
from controller.models.untrusted_json import MOST_MEMBERS, HostileJsonError, members_of, parse_json
from controller.ports.clock import Clock
from controller.ports.secrets import Secrets

_T = TypeVar("_T")

#: Largest answer in bytes: an object has at most 1.5 MiB (etcd), and lists come in pages.
LARGEST = 8 * 1024 * 1024
#: Objects of a page, and most pages of a list: a list has to end.
PAGE, MOST_PAGES = 250, 400
#: Most bytes of all pages of a list, and most values in them: 2,000 pods of 10 kB have 20 MB and 600,000 values.
MOST_LISTED, MOST_VALUES = 32 * 1024 * 1024, 2 * MOST_MEMBERS
#: Time for all requests of a list, or of an O2 IMS, in times of one: a silent server is then told by the one request.
_TOGETHER = 2
#: Longest mark of the next page of a list, in characters.
_LONGEST_MARK = 4096
#: Longest name of an object (RFC 1123, a subdomain).
_LONGEST_NAME = 253
#: Most characters of a server's error message.
_WORDS = 400
#: Longest wait in seconds for a busy server, and the number of retries.
_LATER, _TIMES = 10.0, 5
#: TCP probes a connection that is silent for 30 s: a watch whose server is gone is noticed within a minute, and no
#: firewall forgets one that stands.
_PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_APPLY, _MERGE, _JSON = "application/apply-patch+yaml", "application/merge-patch+json", "application/json"
_CONFLICT, _GONE, _TOO_MANY = 409, 410, 429
#: How servers say that an account lacks a permission (RBAC); a full quota is 403 too.
_LACKS = re.compile(r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<what>[^"]*)"(?P<where>.*)', re.DOTALL)
#: The user of a request in which the server finds no credential.
_NOBODY = "system:anonymous"
#: File with the permissions that Minka needs.
_ROLES = "deploy/kubernetes/minka.yaml"
#: Beginning of the message that an applied object does not fit its definition; status 500, without a reason.
_UNFIT = "failed to create typed patch object"
#: Beginning of the message that a pod has several disruption budgets, so that no eviction works; status 500, without a
#: reason. Older servers say it in a body of that status under 201.
_BUDGETS = "This pod has more than one PodDisruptionBudget"
#: How servers say, with status 500, that a webhook which has to agree to a write did not answer.
_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]*)"')
#: Seconds after which such a write is tried again.
_WEBHOOK_LATER = 2.0
#: Reasons of TLS errors where the server speaks something else.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNSUPPORTED_PROTOCOL")


class ExpiredError(DeviceRefusedError):
    """The server no longer knows the version from which a list or watch should continue (410 Gone)."""

    code = "expired"


class StaleError(DeviceRefusedError):
    """The object has changed since the version that a write is based on."""

    code = "stale"


class BusyError(DeviceRefusedError):
    """The server has done nothing, and may be asked again: it is overloaded, or we have another secret by now.

    Attributes:
        seconds: Seconds until the next try.
    """

    code = "busy"

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class ForeignWriterError(DeviceRefusedError):
    """Another writer owns a field that would change."""

    code = "foreign-writer"


class InvalidError(DeviceRefusedError):
    """The object would not be valid."""


class _BrokenError(SessionLostError):
    """The connection broke, and at once: whoever sat at its other end is gone, and another may be there."""


class _TooLargeError(SessionLostError):
    """The answer is larger than any that is taken."""


@dataclass(eq=False, slots=True)
class _Opened:
    """Connections to one server, and what they were opened with.

    Attributes:
        secrets: Our certificate with its key, certificates of the authority, and the bearer token.
        users: Requests under way.
    """

    client: httpx.AsyncClient
    secrets: tuple[SecretStr | None, SecretStr, SecretStr | None]
    users: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is sent.

    Attributes:
        url: Its path.
        content: Its body.
        room: Room for its answer, if it is one of several.
    """

    method: str
    url: str
    query: Mapping[str, str]
    content: bytes | None
    headers: Mapping[str, str]
    room: Room | None


class _Array(dict[str, Any]):
    """The items of an array, as an object has them, and the address of the next page: a body can't name one."""

    def __init__(self, items: Sequence[Any], following: str) -> None:
        super().__init__(items=items)
        self.following = following


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer; ``body`` is a JSON object."""

    status: int
    body: dict[str, Any]

    @property
    def made(self) -> bool:
        """Whether the object was created."""
        return self.status == httpx.codes.CREATED


@dataclass(slots=True)
class Room:
    """Room that is left for the pages of lists that are read together.

    Attributes:
        size: Bytes.
        values: Values of their JSON.
    """

    size: int = MOST_LISTED
    values: int = MOST_VALUES

    def take(self, page: bytes) -> bool:
        """Take room for a page, before its values are built; whether there was enough."""
        self.size -= len(page)
        self.values -= members_of(page)
        return self.size >= 0 and self.values >= 0


class PoolApi:
    """One pool's API server, over a few persistent connections. Belongs to one loop.

    Args:
        target: The pool.
        secrets: Resolves its credentials, when it is opened.
        clock: For pauses that the server asks for.
        timeout: Seconds to wait for an answer.
        connect_timeout: Seconds for opening a connection.
        at_once: Most requests at once; others wait for their turn.
        observations: Gets the response times.
    """

    def __init__(
        self,
        target: PoolTarget,
        secrets: Secrets,
        clock: Clock,
        *,
        timeout: float,
        connect_timeout: float,
        at_once: int = 6,
        observations: Observations | None = None,
    ) -> None:
        self._observations = observations or Observations()
        self.target = target
        self._secrets = secrets
        self._clock = clock
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._turn = asyncio.Semaphore(at_once)
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=at_once, keepalive_expiry=60)
        self._current: _Opened | None = None
        #: When it answered last, and when a request last timed out, with the resulting error.
        self._answered = -math.inf
        self._silent: tuple[float, type[SessionLostError | UnreachableError], str] | None = None
        self._opening = asyncio.Lock()

    # ------------------------------------------------------------------------ what is asked

    async def get(self, place: Place) -> Object | None:
        """Get one object; None if it does not exist.

        Raises:
            SessionLostError: No answer, or one that is not this object.
            DeviceRefusedError: We may not read it.
        """
        status, body = await self._ask("GET", place.url)
        if _absent(place, status, body):
            return None
        if status == httpx.codes.NOT_FOUND:
            raise DeviceRefusedError(
                f"{self._where} knows no {place.kind.plural} ({place.kind.api}), or something before it answers in its "
                "place: was their definition installed?"
            )
        answer = self._succeeded(status, body)
        self._expect(place, answer.body)
        return answer.body

    async def _from_the_start(self, place: Place) -> list[Object]:
        try:
            return [one async for one in self._pages(place)]
        except ExpiredError:
            pass
        return [one async for one in self._pages(place)]

    async def list(self, place: Place) -> list[Object]:
        """All objects of a place, read page by page; raises as ``get``, also where its pages come too slowly.

        If the server has forgotten the position, the list is read from the start once more.
        """
        return await self.in_time(self._from_the_start(place), f"the list of {place.kind.plural}")

    async def in_time(self, asked: Coroutine[Any, Any, _T], what: str) -> _T:
        """What requests come to that are made one after the other: each may take its time, but not all of them.

        Raises:
            SessionLostError: They take too long together.
        """
        seconds = _TOGETHER * self._timeout
        try:
            async with asyncio.timeout(seconds):
                return await asked
        except TimeoutError:
            pass
        raise SessionLostError(f"{self._where} took more than {seconds:g} s for {what}.")

    async def _pages(self, place: Place) -> AsyncIterator[Object]:
        limit = PAGE
        query = {"limit": str(limit)}
        if place.name:
            query["fieldSelector"] = f"metadata.name={place.name}"
        if place.kind.label:
            query["labelSelector"] = place.kind.label
        room = Room()
        for _ in range(MOST_PAGES):
            try:
                answer = await self._answer("GET", place.collection, query, room=room)
            except _TooLargeError:
                if limit == 1:
                    raise
                # Pods and nodes of large clusters may take tens of kB each.
                limit = max(1, limit // 4)
                query["limit"] = str(limit)
                continue
            # Servers written in Go may send null for an empty list.
            items = [] if answer.body.get("items", "") is None else answer.body.get("items")
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
                raise self._not_whole(f"the list of {place.kind.plural} has no items")
            for one in items:
                # Items of a list leave out what all of them are.
                whole = {"apiVersion": place.kind.api, "kind": place.kind.name, **one}
                self._expect(place, whole)
                if str(whole["metadata"]["name"]).startswith(place.kind.prefix):
                    yield whole
            again = _part(answer.body, "metadata").get("continue")
            if not again:
                return
            query["continue"] = self._mark(str(again))
        raise self._not_whole(f"the list of {place.kind.plural} does not end")

    async def items(self, path: str, room: Room | None = None) -> Sequence[Object]:
        """The JSON objects of an array, as services other than Kubernetes answer; raises as ``get``.

        A long array comes in pages, and the header ``Link`` names the next one (RFC 8288, ETSI GS NFV-SOL 013). Only
        its query is used: the next request goes to the address of the first, since it carries our secret.
        """
        found: list[Object] = []
        query: dict[str, str] = {}
        room = room or Room()
        for _ in range(MOST_PAGES):
            body = (await self._answer("GET", path, query, room=room)).body
            items = body.get("items")
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
                raise self._not_whole(f"{path} is no list of objects")
            found += items
            if not isinstance(body, _Array) or not body.following:
                return found
            query = self._following(body.following)
        raise self._not_whole(f"{path} does not end")

    def _following(self, address: str) -> dict[str, str]:
        """The query of the address of a next page."""
        try:
            return dict(parse_qsl(urlsplit(self._mark(address)).query))
        except ValueError:
            pass
        raise self._not_whole("the address of its next page is none")

    def _mark(self, mark: str) -> str:
        """The mark of a next page, which goes into an address."""
        if len(mark) > _LONGEST_MARK:
            raise self._not_whole(f"the mark of its next page has more than {_LONGEST_MARK} characters")
        return mark

    async def version(self, place: Place) -> str:
        """Version of a list, from which a watch can start; raises as ``get``."""
        answer = await self._answer("GET", place.collection, {"limit": "1"})
        version = _part(answer.body, "metadata").get("resourceVersion")
        if not version:
            raise self._not_whole(f"the list of {place.kind.plural} has no version")
        return str(version)

    async def apply(self, place: Place, manifest: Object, *, dry_run: bool) -> Answer:
        """Apply an object (Server-Side Apply), never by force.

        Raises:
            ForeignWriterError: Another writer has one of its fields.
            StaleError: The object no longer has the version in the manifest.
            DeviceRefusedError: The server refused.
            SessionLostError: It may or may not be applied.
        """
        answer = await self._answer("PATCH", place.url, self._options(dry_run), body=manifest, media=_APPLY)
        self._expect(place, answer.body)
        return answer

    async def merge(self, place: Place, patch: Object, *, dry_run: bool) -> Object:
        """Change fields of an object as an edit does (RFC 7386); raises as ``apply``."""
        answer = await self._answer("PATCH", place.url, self._options(dry_run), body=patch, media=_MERGE)
        self._expect(place, answer.body)
        return answer.body

    async def delete(self, place: Place, preconditions: Object, *, dry_run: bool) -> None:
        """Request the deletion of an object that still meets the preconditions; a missing object is no error.

        Raises as ``apply``.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": dict(preconditions),
            "propagationPolicy": "Background",
            # Where there is a body, servers ignore what the query says of it.
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        query = {**self._deadline, **({"dryRun": "All"} if dry_run else {})}
        status, body = await self._ask("DELETE", place.url, query, body=options)
        if not _absent(place, status, body):
            self._succeeded(status, body)

    async def evict(self, place: Place, uid: str) -> None:
        """Request the eviction of a pod (policy/v1) that is still the same; a missing pod is no error.

        Raises:
            BusyError: Its disruption budget does not allow that now.
            DeviceRefusedError: The server refused.
            SessionLostError: It may or may not be evicted.
        """
        metadata = {"name": place.name, "namespace": place.namespace}
        options = {"preconditions": {"uid": uid}}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
        status, body = await self._ask("POST", f"{place.url}/eviction", self._deadline, body=eviction)
        if not _absent(place, status, body):
            self._succeeded(status, body)

    async def watch(self, place: Place, version: str, seconds: int) -> AsyncIterator[dict[str, Any]]:
        """Events of a place from a version of its list on, with bookmarks, until the server ends it.

        Raises:
            ExpiredError: The server no longer knows the version: list again.
            SessionLostError: The connection was lost, or the data is not an event.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        failure: DeviceError | None = None
        async with self._opened() as opened:
            try:
                async with opened.client.stream(
                    "GET", place.collection, params=query, timeout=self._patience(seconds)
                ) as response:
                    if response.status_code != httpx.codes.OK:
                        body = await self._body(response)
                        failure = self._refused(response.status_code, _told(response.status_code, body, response))
                    else:
                        async for event in self._events(response):
                            yield event
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
                failure = self._lost(error)
            if failure is not None:
                failure = await self._judged(failure, opened)
        if failure is not None:
            raise failure

    async def _events(self, response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
        if "Content-Encoding" in response.headers:
            # A few compressed bytes could be any amount.
            raise self._not_whole("its events are compressed, which nobody asked for")
        kept = bytearray()
        async for part in response.aiter_raw():
            first, *more = part.split(b"\n")
            kept += first
            if len(kept) > LARGEST:
                raise self._not_whole("an event does not end")
            if not more:
                continue
            lines = [bytes(kept), *more[:-1]]
            kept = bytearray(more[-1])
            for line in filter(bytes.strip, lines):
                event = await self._parsed(line)
                if event.get("type") == "ERROR":
                    status = _part(event, "object")
                    code = status.get("code")
                    raise self._refused(code if isinstance(code, int) else 0, status)
                if not _part(event, "object"):
                    raise self._not_whole("an event names no object")
                yield event

    # ------------------------------------------------------------------------ how it is asked

    async def _answer(
        self,
        method: str,
        url: str,
        query: Mapping[str, str],
        *,
        body: Object | None = None,
        media: str = _JSON,
        room: Room | None = None,
    ) -> Answer:
        """One request that succeeds."""
        return self._succeeded(*await self._ask(method, url, query, body=body, media=media, room=room))

    async def _ask(
        self,
        method: str,
        url: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Object | None = None,
        media: str = _JSON,
        room: Room | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Send one request.

        A read is sent again: when the server says so (429, and 5xx with ``Retry-After``), when our secrets were
        replaced, and once when its connection broke. A write is sent only once: its sender must first check that it
        still may. A read that waited for its turn while another request timed out does not wait for its own time-out:
        with a silent pool, all reads at once take as long as one.
        """
        once, asked = method != "GET" and "dryRun" not in (query or {}), self._clock.monotonic()
        content = None if body is None else orjson.dumps(body)
        sent = Sent(method, url, query or {}, content, {} if content is None else {"Content-Type": media}, room)
        broke = False
        for left in reversed(range(_TIMES)):
            try:
                async with self._turn:
                    if not once and self._silent is not None and self._silent[0] >= asked:
                        raise self._silent[1](self._silent[2])
                    status, answer, later = await self._observed(sent)
            except (BusyError, _BrokenError) as error:
                if once or not left or (broke and isinstance(error, _BrokenError)):
                    raise
                broke = broke or isinstance(error, _BrokenError)
                continue
            if once or not left or later is None:
                break
            await self._clock.sleep(_wait(later))
        return status, answer

    def _succeeded(self, status: int, body: dict[str, Any]) -> Answer:
        if status not in (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED):
            raise self._refused(status, body)
        if body.get("kind") == "Status" and body.get("status") == "Failure":
            # So older servers refuse to evict a pod that has two disruption budgets: 201, and 500 in the body.
            raise DeviceRefusedError(f"{self._where}: {_said(status, body)}")
        return Answer(status, body)

    async def _observed(self, sent: Sent) -> tuple[int, dict[str, Any], float | None]:
        operation = "apply" if sent.headers.get("Content-Type") == _APPLY else sent.method.lower()
        operation = "dry-run" if "dryRun" in sent.query else operation
        began, result = self._clock.monotonic(), "lost"
        try:
            answer = await self._send(sent)
            result, self._answered = "answered", self._clock.monotonic()
            return answer
        except (SessionLostError, UnreachableError) as error:
            now = self._clock.monotonic()
            if self._answered < began <= now - min(self._timeout, self._connect_timeout):
                self._silent = now, type(error), error.message
            raise
        except (AuthenticationError, BusyError):
            result = "answered"
            raise
        finally:
            took = self._clock.monotonic() - began
            self._observations.took("minka_kubernetes_request_duration_seconds", took, operation, result)

    async def _send(self, sent: Sent) -> tuple[int, dict[str, Any], float | None]:
        """Status, body, and seconds after which the server wants to be asked again; None where it does not."""
        failure: DeviceError
        async with self._opened() as opened:
            try:
                async with (
                    asyncio.timeout(self._timeout),
                    opened.client.stream(
                        sent.method, sent.url, params=sent.query, content=sent.content, headers=sent.headers
                    ) as response,
                ):
                    status, body = response.status_code, await self._body(response, sent.room)
                if status != httpx.codes.UNAUTHORIZED:
                    return status, _told(status, body, response), _later(response)
                failure = self._refused(status, body)
            except TimeoutError:
                failure = SessionLostError(f"{self._where} did not answer within {self._timeout:g} s.")
            except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
                failure = self._lost(error)
            failure = await self._judged(failure, opened)
        raise failure

    async def _body(self, response: httpx.Response, room: Room | None = None) -> dict[str, Any]:
        taken = bytearray()
        async for part in response.aiter_raw():
            taken += part
            if len(taken) > LARGEST:
                raise _TooLargeError(f"the answer of {self._where} is larger than {LARGEST // 1024**2} MiB.")
        whole = bytes(taken)
        if room is not None and not room.take(whole):
            raise self._not_whole(f"its list has more than {MOST_LISTED // 1024**2} MiB or {MOST_VALUES} values")
        following = response.links.get("next", {}).get("url", "")
        if response.status_code >= httpx.codes.BAD_REQUEST:
            # A proxy before the server says it in other ways.
            try:
                return await self._parsed(whole)
            except SessionLostError:
                return {"message": f"HTTP {response.status_code}"}
        return await self._parsed(whole, following)

    async def _parsed(self, text: bytes, following: str = "") -> dict[str, Any]:
        """The object in an answer; for an array its items, and the address of the next page."""
        try:
            found = await decoded(len(text) > LONG, lambda: parse_json(text))
        except HostileJsonError:
            found = None
        if isinstance(found, list):
            return _Array(found, following)
        if not isinstance(found, dict):
            raise self._not_whole(
                "it is no JSON object, too large, or nested too deep; is that its API server, and no proxy before it"
            )
        return found

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[_Opened]:
        """The connections that requests take now, for one of them; those of before are closed after their last one."""
        opened = await self._newest()
        opened.users += 1
        try:
            yield opened
        finally:
            opened.users -= 1
            if opened is not self._current and not opened.users:
                await opened.client.aclose()

    async def _newest(self) -> _Opened:
        async with self._opening:
            if self._current is None:
                self._current = await self._open()
            return self._current

    async def _judged(self, failure: DeviceError, opened: _Opened) -> DeviceError:
        """What failed, and what it is for the next request.

        One that can't connect, or whose sign-in is refused on either side, lets the next one open anew: a name may lead
        elsewhere by now, and tokens and certificates are replaced while we run. If they were, this one may come again.
        """
        if isinstance(failure, UnreachableError | AuthenticationError | HostKeyError) and self._current is opened:
            self._current = None
        if isinstance(failure, AuthenticationError | HostKeyError):
            try:
                replaced = (await self._newest()).secrets != opened.secrets
            except DeviceError:
                replaced = False
            if replaced:
                return BusyError(f"{failure.message} Our secrets were replaced meanwhile.", 0)
        return failure

    async def _open(self) -> _Opened:
        target = self.target
        failure: DeviceError
        try:
            async with asyncio.timeout(self._connect_timeout):
                addresses = await addresses_of(target, self._secrets)
            resolve = partial(self._secrets.resolve, address=addresses[0])
            ours = resolve(target.client_certificate) if target.client_certificate else None
            authority = resolve(target.authority)
            context = tls_context(ours, authority, target.certificate)
            bearer = resolve(target.credential) if target.credential else None
            if bearer is not None and not bearer.get_secret_value().strip():
                # A server takes a request without a token for one of anybody.
                raise InputError(f"the token {target.credential!r} is empty: write it to its file or variable")  # noqa: TRY301
        except InputError as error:
            failure = AuthenticationError(f"{target.device}: {error.message}")
        except (ssl.SSLError, ValueError):
            names = " or ".join(filter(None, (target.client_certificate, target.authority)))
            failure = AuthenticationError(f"{target.device}: {names} holds no certificate, or not its key (PEM).")
        except OSError as error:
            failure = not_reached(target, error)
        else:
            host = f"[{target.address}]" if ":" in target.address else target.address
            sign_in = {} if bearer is None else {"Authorization": f"Bearer {bearer.get_secret_value().strip()}"}
            below = httpx.AsyncHTTPTransport(verify=context, limits=self._limits, socket_options=_PROBES)
            client = httpx.AsyncClient(
                transport=_Named(target.address, addresses, self._connect_timeout, below),
                base_url=f"https://{host}:{target.port}{target.path}",
                headers={"Accept": _JSON, "Accept-Encoding": "identity", "User-Agent": "minka", **sign_in},
                timeout=self._patience(),
                trust_env=False,
                follow_redirects=False,
            )
            return _Opened(client, (ours, authority, bearer))
        raise failure

    @property
    def _deadline(self) -> dict[str, str]:
        """The server's time-out: shorter than ours, so that nothing is carried out after we have read again."""
        return {"timeout": f"{max(1, int(self._timeout * 0.8))}s"}

    def _options(self, dry_run: bool) -> dict[str, str]:
        return {"fieldManager": MANAGER, **self._deadline, **({"dryRun": "All"} if dry_run else {})}

    def _patience(self, seconds: float = 0) -> httpx.Timeout:
        return httpx.Timeout(self._timeout + seconds, connect=self._connect_timeout)

    async def close(self) -> None:
        """Close all connections; the next request connects again, with the credentials of that time."""
        opened, self._current = self._current, None
        if opened is not None:
            await opened.client.aclose()

    # ------------------------------------------------------------------------ what goes wrong

    @property
    def _where(self) -> str:
        return f"{self.target.device} ({self.target.address} port {self.target.port})"

    def _expect(self, place: Place, body: Object) -> None:
        """See that an object is what was asked for, whole enough to rely on."""
        metadata = _part(body, "metadata")
        named, within = str(metadata.get("name") or ""), str(metadata.get("namespace") or "")
        too_long = max(len(named), len(within)) > _LONGEST_NAME
        if body.get("kind") != place.kind.name or not named or place.name not in ("", named) or too_long:
            raise self._not_whole(f"it is not {place}")

    def _not_whole(self, why: str) -> SessionLostError:
        return SessionLostError(f"the answer of {self._where} is of no use: {why}.")

    def _lost(self, error: Exception) -> DeviceError:
        """The error for a failed request, by its cause."""
        below: BaseException | None = error
        while below is not None:
            if isinstance(below, ssl.SSLCertVerificationError):
                why = getattr(below, "verify_message", None) or below.args[-1]
                return HostKeyError(
                    f"{self._where} showed a certificate that is not accepted: {why}; nothing was sent to it. It has "
                    f"to be for this address, and signed by {self.target.authority}."
                )
            if isinstance(below, ssl.SSLError) and "ALERT" in (below.reason or ""):
                name = self.target.client_certificate
                return AuthenticationError(f"{self._where} refused the certificate in {name} ({below.reason}).")
            if isinstance(below, ssl.SSLError) and below.reason in _NO_TLS:
                return UnreachableError(
                    f"{self._where} speaks no TLS ({below.reason}): is that the port of its API server?"
                )
            below = below.__cause__ or below.__context__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return not_reached(self.target, TimeoutError() if isinstance(error, httpx.TimeoutException) else error)
        if isinstance(error, httpx.InvalidURL):
            return self._not_whole("it named what no address can hold")
        broke = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
        return (_BrokenError if broke else SessionLostError)(f"{self._where} did not answer: {in_words(error)}.")

    def _refused(self, status: int, body: Object) -> DeviceError:
        """The error for an answer other than success."""
        said = _said(status, body)
        if status == httpx.codes.UNAUTHORIZED:
            names = " and ".join(filter(None, (self.target.credential, self.target.client_certificate)))
            return AuthenticationError(
                f"{self._where} refused {names} (401): it is not known there, or has expired. Put the present one "
                "under that name into the file of MINKA_CREDENTIALS."
            )
        if status == httpx.codes.FORBIDDEN and (lacks := _LACKS.search(said)):
            return self._not_permitted(**lacks.groupdict())
        if status == _TOO_MANY:
            later = _part(body, "details").get("retryAfterSeconds")
            return BusyError(f"{self._where}: {said}", _wait(later if isinstance(later, int | float) else 1))
        if status == _GONE:
            return ExpiredError(f"{self._where}: {said}")
        if status == httpx.codes.INTERNAL_SERVER_ERROR and (unwilling := self._unwilling(said)) is not None:
            return unwilling
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status < httpx.codes.BAD_REQUEST:
            return SessionLostError(f"{self._where} could not answer: {said}")
        causes = _part(body, "details").get("causes")
        listed = [one for one in causes if isinstance(one, dict)] if isinstance(causes, list) else []
        foreign = [one for one in listed if one.get("reason") == "FieldManagerConflict"]
        if status == _CONFLICT and foreign:
            named = "; ".join(f"{one.get('message')}: {str(one.get('field')).lstrip('.')}" for one in foreign)
            reason = f"somebody else writes what would change, and is not overruled: {visible(named)[:_WORDS]}"
            return ForeignWriterError(f"{self._where}: {reason}")
        if status == _CONFLICT and body.get("reason") == "Conflict":
            return StaleError(f"{self._where}: {said}")
        if status == httpx.codes.NOT_FOUND and _part(body, "details").get("kind") == "namespaces":
            said = f"{said}: plan and apply pool={self.target.device} first, which makes it"
        refusal = InvalidError if body.get("reason") == "Invalid" else DeviceRefusedError
        return refusal(f"{self._where}: {said}")

    def _unwilling(self, said: str) -> DeviceRefusedError | None:
        """The error for a 500 after which it is certain that nothing was written; None for any other."""
        if said.startswith(_UNFIT):
            return DeviceRefusedError(f"{self._where} has another definition of it: {said}")
        if said.startswith(_BUDGETS):
            return DeviceRefusedError(f"{self._where}: {said}")
        if (webhook := _WEBHOOK.search(said)) is not None:
            # Admission comes before the store. A webhook that is replaced just now answers again soon.
            return BusyError(
                f"{self._where} writes nothing: its admission webhook {webhook['name']} does not answer ({said})",
                _WEBHOOK_LATER,
            )
        return None

    def _not_permitted(self, user: str, verb: str, what: str, where: str) -> DeviceError:
        """The server knows who we are, and that account may not do this."""
        if user == _NOBODY:
            names = " and ".join(filter(None, (self.target.credential, self.target.client_certificate)))
            return AuthenticationError(
                f"{self._where} takes no account of {names}: to it we are {user}. Is that the port of its API server, "
                "and does that accept such a credential?"
            )
        return NotPermittedError(
            f"{self._where} lets us in as {user}, who may not {verb} {what}{where.rstrip()}. Give that account the "
            f"roles of {_ROLES}."
        )


class _Named(httpx.AsyncBaseTransport):
    """A transport to the IP addresses of a name, whose certificate has to be that of the name.

    Each new connection goes to the address that took the last one; where that does not take it, to the others in turn.

    Args:
        connect_timeout: Seconds for opening a connection, at whichever of them.
    """

    def __init__(
        self, name: str, addresses: Sequence[str], connect_timeout: float, below: httpx.AsyncHTTPTransport
    ) -> None:
        self._name = name
        self._addresses = list(addresses)
        self._patience = connect_timeout / len(addresses)
        self._below = below

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass on, with the name to look for; its header says the name, too, by which proxies find a server."""
        request.extensions["sni_hostname"] = self._name
        request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "connect": self._patience}
        *others, last = self._addresses
        for address in others:
            request.url = request.url.copy_with(host=address)
            try:
                return await self._below.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if _broke_in_tls(error):
                    raise
                self._addresses = [*(one for one in self._addresses if one != address), address]
        request.url = request.url.copy_with(host=last)
        return await self._below.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._below.aclose()


def _broke_in_tls(error: BaseException) -> bool:
    """Whether it was somebody who took the connection, and not the network, that an error is about."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, ssl.SSLError):
        below = below.__cause__ or below.__context__
    return below is not None


def _part(body: Object, name: str) -> dict[str, Any]:
    """A nested object; empty if there is none."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}


def _said(status: int, body: Object) -> str:
    """The message of an error answer."""
    return visible(str(body.get("message") or f"HTTP {status}"))[:_WORDS]


def _absent(place: Place, status: int, body: Object) -> bool:
    """Whether the server itself says that there is no such object; proxies before it know no objects."""
    named = _part(body, "details").get("name") == place.name
    return status == httpx.codes.NOT_FOUND and body.get("reason") == "NotFound" and named


def _told(status: int, body: dict[str, Any], response: httpx.Response) -> dict[str, Any]:
    """An answer with the seconds until a retry, which few servers repeat in the body."""
    if status != _TOO_MANY:
        return body
    return {**body, "details": {"retryAfterSeconds": _later(response), **_part(body, "details")}}


def _wait(seconds: float) -> float:
    return min(_LATER, max(0.5, seconds))


def _later(response: httpx.Response) -> float | None:
    """Seconds after which to ask again; None where the server wants no such thing."""
    if response.status_code != _TOO_MANY and response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
        return None
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return 1.0 if response.status_code == _TOO_MANY else None
