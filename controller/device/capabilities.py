"""What a device's hello means for transactions, and which servers are known to get them wrong."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ncclient.capabilities import Capabilities as Uris

from controller.device.modules import Announced, listed_in, without_content_ids
from controller.ports.devices import Capabilities

#: Servers whose confirmed commit is no safety net, by the beginning of the namespace of a module of theirs.
UNTRUSTWORTHY = {
    # A foreign commit during a pending confirmed commit is answered ok, and the timer then empties running.
    "http://clicon.org/": "clixon",
    # A failed confirmed commit leaves its rollback armed (netopeer2 #1826); the timer's rollback undoes what others
    # wrote into running meanwhile. None of these modules is in its hello, which leaves out those of YANG 1.1.
    "http://www.sysrepo.org/": "sysrepo",
    "urn:sysrepo:": "sysrepo",
}


class KnownUris(Uris):  # type: ignore[misc]
    """The capabilities of ncclient, which searches them for every request; here each answer is kept."""

    def __init__(self, hello: tuple[str, ...]) -> None:
        super().__init__(hello)
        self._known: dict[str, bool] = {}

    def __contains__(self, key: str) -> bool:
        if key not in self._known:
            self._known[key] = super().__contains__(key)
        return self._known[key]


@lru_cache(maxsize=256)
def uris_of(hello: tuple[str, ...]) -> KnownUris:
    """Capability URIs as ncclient's operations see them; a fleet shares few hellos. Never change the result."""
    return KnownUris(hello)


@lru_cache(maxsize=256)
def capabilities_of(hello: tuple[str, ...]) -> Capabilities:
    """What the capability URIs of a hello mean for transactions, before its server's modules are known."""
    return _judged(hello, Announced(listed_in(hello), whole=False))


def capabilities_with(hello: tuple[str, ...], announced: Announced) -> Capabilities:
    """The same of a server whose modules are known."""
    return _judged(hello, announced)


def _judged(hello: tuple[str, ...], announced: Announced) -> Capabilities:
    uris = uris_of(hello)
    lines = (*sorted(without_content_ids(hello)), *announced.lines)
    return Capabilities(
        candidate=":candidate" in uris,
        confirmed_commit=":confirmed-commit:1.1" in uris,
        writable_running=":writable-running" in uris,
        startup=":startup" in uris,
        validate=":validate" in uris,
        trustworthy=not any(name.startswith(known) for name in announced.modules for known in UNTRUSTWORTHY),
        software=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
    )
