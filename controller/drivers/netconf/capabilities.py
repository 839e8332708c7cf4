"""Capabilities and modules that a server announces in its hello and its YANG library (RFC 7895, RFC 8525).

The hello alone is not enough: a server with a library need not list its modules there, and must leave out those of
YANG 1.1 (RFC 7950 §5.6.4).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from inspect import unwrap
from itertools import chain
from typing import TypeVar
from urllib.parse import parse_qs

from lxml import etree
from ncclient.capabilities import Capabilities as Uris

from controller.drivers.protocols import Capabilities
from controller.models.errors import DeviceRefusedError
from controller.nrm.namespaces import YANG_LIBRARY, as_default

T = TypeVar("T")

_LIB = f"{{{YANG_LIBRARY}}}"
_CAPABILITY = ":yang-library:"
_WITH_DEFAULTS = "urn:ietf:params:netconf:capability:with-defaults:1.0"
#: Parameters of the library's capability that identify its content.
_CONTENT = ("content-id=", "module-set-id=")
#: Top-level containers of RFC 8525 and RFC 7895.
_NEWER, _OLDER = "yang-library", "modules-state"
#: Most servers to remember, and characters of what they announced: of all together, and of one.
_MOST, _ROOM, _LARGEST = 1 << 14, 1 << 27, 1 << 20
#: Characters of a hello of which results are kept; real ones have less.
_LONGEST_HELLO = 1 << 16

#: Servers whose confirmed commit is no safety net, by the beginning of the namespace of one of their modules.
UNTRUSTWORTHY = {
    # Another session's commit during a pending confirmed commit is answered ok, and the timer then empties running.
    "http://clicon.org/": "clixon",
    # A failed confirmed commit leaves its rollback armed (netopeer2 #1826); the timer's rollback undoes what others
    # wrote into running meanwhile. Its hello lists none of these modules, since it leaves out those of YANG 1.1.
    "http://www.sysrepo.org/": "sysrepo",
    "urn:sysrepo:": "sysrepo",
}

#: Asks a server for the nodes that a subtree filter selects, and returns what is decoded from the data.
SendRequest = Callable[[Callable[[etree._Element], "Announced"], etree._Element], Awaitable["Announced"]]


@dataclass(slots=True)
class Announced:
    """The modules of one server, and the namespaces that it refused to read all the same.

    Attributes:
        modules: Revision by namespace.
        whole: Whether the list is complete.
        features: Pairs of a namespace and a feature of its module that the server supports.
        refused: Namespaces that the server announced but refused to read.
    """

    modules: Mapping[str, str]
    whole: bool
    features: frozenset[tuple[str, str]] = frozenset()
    refused: set[str] = field(default_factory=set)

    def offers(self, namespace: str, feature: str = "") -> bool:
        """Whether the device may have nodes of a namespace, and of a feature if one is named."""
        if feature and (namespace, feature) not in self.features:
            return False
        return namespace not in self.refused and (namespace in self.modules or not self.whole)

    def without_features(self, namespace: str, feature: str = "") -> bool:
        """Like ``offers``, but False for any node that depends on a feature."""
        return not feature and self.offers(namespace)

    @property
    def size(self) -> int:
        """Characters of its names."""
        names = chain(self.modules, self.modules.values(), chain.from_iterable(self.features))
        return sum(map(len, names))

    @property
    def lines(self) -> Iterator[str]:
        """The modules as text, to identify the software."""
        return (f"{namespace}@{revision}" for namespace, revision in sorted(self.modules.items()))


@dataclass(slots=True)
class _Modules:
    """Modules and features that stations told in the same words, and how many of these are known."""

    modules: Mapping[str, str]
    features: frozenset[tuple[str, str]]
    size: int
    stations: int = 0


@dataclass(slots=True)
class _Entry:
    """The last that is known of one station: digests of its hello and of its modules."""

    hello: bytes
    content: bytes
    announced: Announced


class KnownModules:
    """The known modules of servers, so that a process reads the library of each station once for each hello.

    The words of a station count for that station alone, since a hello, and the content-id in it, are easily copied. So
    each station is asked. Stations that tell the same share only the memory for it. Whatever was not used for longest
    makes room, by number and by size.

    Args:
        room: Most characters of all modules together; those of a station that take more than an eighth are not kept.
        untrusted: Software whose confirmed commit a person does not trust, see ``Capabilities.software``.
    """

    def __init__(self, room: int = _ROOM, untrusted: frozenset[str] = frozenset()) -> None:
        self._untrusted = untrusted
        self._known: OrderedDict[str, _Entry] = OrderedDict()
        self._contents: dict[bytes, _Modules] = {}
        self._room = room
        self._largest = min(_LARGEST, room // 8)
        self.size = 0

    def capabilities(self, hello: tuple[str, ...], announced: Announced) -> Capabilities:
        """Capabilities for transactions by the hello and the modules, as far as the software is trusted."""
        able = capabilities_with(hello, announced)
        return replace(able, trustworthy=False) if able.software in self._untrusted else able

    async def of(self, station: str, hello: tuple[str, ...], ask: SendRequest) -> Announced:
        """The modules of a server.

        Args:
            station: Its name.
            hello: Its capability URIs.
            ask: Reads its library, if it is not known yet; may raise SessionLostError, which is passed on.
        """
        digest = _digest(hello)
        entry = self._known.get(station)
        if entry is not None and entry.hello == digest:
            self._known.move_to_end(station)
            return entry.announced
        listed = listed_in(hello)
        found = await _library(hello, ask) if has_library(hello) else None
        known = Announced(listed, bool(listed) and not has_library(hello), features_in(hello))
        if found is not None:
            known = Announced({**listed, **found.modules}, whole=True, features=known.features | found.features)
        self._keep(station, digest, known)
        return known

    def _keep(self, station: str, hello: bytes, known: Announced) -> None:
        self._drop(station)
        size = known.size
        if size > self._largest:
            return
        pairs = chain.from_iterable((*sorted(known.modules.items()), ("", ""), *sorted(known.features)))
        digest = _digest(tuple(pairs))
        told = self._contents.get(digest)
        if told is None:
            told = self._contents[digest] = _Modules(known.modules, known.features, size)
            self.size += size
        known.modules, known.features = told.modules, told.features
        told.stations += 1
        self._known[station] = _Entry(hello, digest, known)
        while self.size > self._room or len(self._known) > _MOST:
            self._drop(next(iter(self._known)))

    def _drop(self, station: str) -> None:
        entry = self._known.pop(station, None)
        if entry is None:
            return
        told = self._contents[entry.content]
        told.stations -= 1
        if not told.stations:
            del self._contents[entry.content]
            self.size -= told.size


def _digest(words: tuple[str, ...]) -> bytes:
    """A hash of words in their order, each with its length, so that no two lists run together."""
    return hashlib.sha256("".join(f"{len(word)}:{word}" for word in words).encode(errors="surrogatepass")).digest()


def _of(kept: Callable[..., T], hello: tuple[str, ...], *more: str) -> T:
    """The result of a function that keeps some; not for long hellos, of which a hostile server has any number."""
    return (kept if sum(map(len, hello)) <= _LONGEST_HELLO else unwrap(kept))(hello, *more)


def listed_in(hello: tuple[str, ...]) -> Mapping[str, str]:
    """Revision by namespace of the modules that a hello lists."""
    return _of(_listed_in, hello)


@lru_cache(maxsize=256)
def _listed_in(hello: tuple[str, ...]) -> Mapping[str, str]:
    return {namespace: said.get("revision", [""])[0] for namespace, said in _modules_in(hello)}


def features_in(hello: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Pairs of a namespace and a feature that a hello lists (RFC 7950 §5.6.4)."""
    found = ((namespace, said.get("features", [""])[0].split(",")) for namespace, said in _modules_in(hello))
    return frozenset((namespace, feature.strip()) for namespace, features in found for feature in features if feature)


def _modules_in(hello: Iterable[str]) -> Iterator[tuple[str, dict[str, list[str]]]]:
    """Namespaces of modules that a hello lists, each with the parameters of its URI."""
    for uri in hello:
        namespace, _, query = uri.partition("?")
        said = parse_qs(query)
        if "module" in said:
            yield namespace, said


def has_library(hello: Iterable[str]) -> bool:
    """Whether a hello announces a YANG library."""
    return any(_CAPABILITY in uri or uri.partition("?")[0] == YANG_LIBRARY for uri in hello)


def without_content_ids(hello: Iterable[str]) -> list[str]:
    """A hello without the ids of a library's content, which some servers count up at each start."""
    found = []
    for uri in hello:
        head, mark, query = uri.partition("?")
        kept = [part for part in query.split("&") if _CAPABILITY not in uri or not part.startswith(_CONTENT)]
        found.append(f"{head}{mark}{'&'.join(kept)}")
    return found


async def _library(hello: tuple[str, ...], ask: SendRequest) -> Announced | None:
    """The modules that a server's library lists; None where we can't read one."""
    newer = any(_CAPABILITY in uri and ("library:1.1" in uri or "revision=2019" in uri) for uri in hello)
    for container in (_NEWER, _OLDER) if newer else (_OLDER, _NEWER):
        try:
            found = await ask(implemented, etree.Element(f"{_LIB}{container}", nsmap=as_default(YANG_LIBRARY)))
        except DeviceRefusedError:
            continue
        if found.modules:
            return found
    return None


def implemented(data: etree._Element) -> Announced:
    """Modules that the server implements by its library; those that are only imported add no nodes."""
    modules, features = dict[str, str](), set[tuple[str, str]]()
    newer, older = f"{_LIB}{_NEWER}/{_LIB}module-set/{_LIB}module", f"{_LIB}{_OLDER}/{_LIB}module"
    for module in chain(data.iterfind(newer), data.iterfind(older)):
        namespace = (module.findtext(f"{_LIB}namespace") or "").strip()
        if namespace and module.findtext(f"{_LIB}conformance-type") != "import":
            modules[namespace] = (module.findtext(f"{_LIB}revision") or "").strip()
            features |= {(namespace, (one.text or "").strip()) for one in module.iterfind(f"{_LIB}feature")}
    return Announced(modules, whole=True, features=frozenset(features))


def offers(hello: tuple[str, ...], capability: str) -> bool:
    """Whether a hello offers a capability by its short name, as in ``:confirmed-commit:1.1``."""
    return _of(_offers, hello, capability)


@lru_cache(maxsize=1024)
def _offers(hello: tuple[str, ...], capability: str) -> bool:
    return capability in Uris(hello)


def trims_defaults(hello: tuple[str, ...]) -> bool:
    """Whether a server leaves out all that has its default: basic mode ``trim`` of with-defaults (RFC 6243 §4.3).

    A server that announces several capabilities of with-defaults, or several basic modes, counts as one that does not.
    """
    queries = [query for name, _, query in (uri.partition("?") for uri in hello) if name == _WITH_DEFAULTS]
    return [mode for query in queries for mode in parse_qs(query).get("basic-mode", ())] == ["trim"]


def capabilities_of(hello: tuple[str, ...]) -> Capabilities:
    """Capabilities for transactions by the URIs of a hello, before the server's modules are known."""
    return _of(_capabilities_of, hello)


@lru_cache(maxsize=256)
def _capabilities_of(hello: tuple[str, ...]) -> Capabilities:
    return _judged(hello, Announced(listed_in(hello), whole=False))


def capabilities_with(hello: tuple[str, ...], announced: Announced) -> Capabilities:
    """Capabilities for transactions by the hello and the modules."""
    return _judged(hello, announced)


def _judged(hello: tuple[str, ...], announced: Announced) -> Capabilities:
    lines = (*sorted(without_content_ids(hello)), *announced.lines)
    return Capabilities(
        candidate=offers(hello, ":candidate"),
        confirmed_commit=offers(hello, ":confirmed-commit:1.1"),
        writable_running=offers(hello, ":writable-running"),
        startup=offers(hello, ":startup"),
        validate=offers(hello, ":validate"),
        trustworthy=not any(name.startswith(known) for name in announced.modules for known in UNTRUSTWORTHY),
        software=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
    )
