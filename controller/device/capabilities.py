"""What a device's hello means for transactions, and which servers are known to get them wrong."""

from __future__ import annotations

from functools import lru_cache

from ncclient.capabilities import Capabilities as Uris

from controller.nrm.namespaces import ORAN_FM
from controller.ports.devices import Capabilities

#: Servers whose confirmed commit is no safety net, by the beginning of a URI in their hello.
UNTRUSTWORTHY = {
    # A foreign commit during a pending confirmed commit is answered ok, and the timer then empties running.
    "http://clicon.org/": "clixon",
    # libyang lists its built-in module "yang", which no other server does. A second confirmed commit
    # overwrites the backup of the first (netopeer2 #1207), a failed one leaves its rollback armed (#1826).
    "urn:ietf:params:xml:ns:yang:1?module=yang&": "netopeer2",
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
    """What the capability URIs of a hello mean for transactions."""
    uris = uris_of(hello)
    return Capabilities(
        candidate=":candidate" in uris,
        confirmed_commit=":confirmed-commit:1.1" in uris,
        writable_running=":writable-running" in uris,
        startup=":startup" in uris,
        validate=":validate" in uris,
        # Who has a library need not list its modules here (RFC 7950 §5.6.4).
        lists_alarms=any(uri.startswith(ORAN_FM) or ":yang-library:" in uri for uri in hello),
        trustworthy=not any(uri.startswith(known) for uri in hello for known in UNTRUSTWORTHY),
    )
