"""What a station says it can do (RFC 6241 §8, RFC 6243 §4, RFC 7950 §5.6.4)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote

from simulators.datastore import ModuleInfo

BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
CANDIDATE = "urn:ietf:params:netconf:capability:candidate:1.0"
CONFIRMED_COMMIT_1_0 = "urn:ietf:params:netconf:capability:confirmed-commit:1.0"
CONFIRMED_COMMIT_1_1 = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
VALIDATE_1_0 = "urn:ietf:params:netconf:capability:validate:1.0"
VALIDATE_1_1 = "urn:ietf:params:netconf:capability:validate:1.1"
ROLLBACK_ON_ERROR = "urn:ietf:params:netconf:capability:rollback-on-error:1.0"
WITH_DEFAULTS = (
    "urn:ietf:params:netconf:capability:with-defaults:1.0"
    "?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim"
)
NOTIFICATION = "urn:ietf:params:netconf:capability:notification:1.0"
INTERLEAVE = "urn:ietf:params:netconf:capability:interleave:1.0"
YANG_LIBRARY = "urn:ietf:params:netconf:capability:yang-library:1.1"

#: All protocol capabilities of a station without quirks.
PROTOCOL = (
    BASE_1_0,
    BASE_1_1,
    CANDIDATE,
    CONFIRMED_COMMIT_1_0,
    CONFIRMED_COMMIT_1_1,
    VALIDATE_1_0,
    VALIDATE_1_1,
    ROLLBACK_ON_ERROR,
    WITH_DEFAULTS,
    NOTIFICATION,
    INTERLEAVE,
)


def module_capability(module: ModuleInfo) -> str:
    """How a hello names a YANG module."""
    capability = f"{module.namespace}?module={quote(module.name)}"
    if module.revision:
        capability += f"&revision={module.revision}"
    if module.features:
        capability += "&features=" + ",".join(sorted(module.features))
    return capability


@lru_cache(maxsize=256)
def modules_of_station(modules: tuple[ModuleInfo, ...], *, confirmed_commit: bool) -> tuple[ModuleInfo, ...]:
    """The modules with the features that the station has: of ietf-netconf it has some only."""
    features = ("candidate", *(("confirmed-commit",) if confirmed_commit else ()), "rollback-on-error", "validate")
    return tuple(replace(module, features=features) if module.name == "ietf-netconf" else module for module in modules)


@lru_cache(maxsize=256)
def of_station(modules: tuple[ModuleInfo, ...], *, base_1_1: bool, confirmed_commit: bool) -> tuple[str, ...]:
    """All capabilities of a station with these modules and quirks."""
    missing = set()
    if not base_1_1:
        missing.add(BASE_1_1)
    if not confirmed_commit:
        missing |= {CONFIRMED_COMMIT_1_0, CONFIRMED_COMMIT_1_1}
    library = f"{YANG_LIBRARY}?revision=2019-01-04&content-id={content_id(modules)}"
    return (
        *(name for name in PROTOCOL if name not in missing),
        library,
        # Those that only lend types too: clients without yang-library learn of them nowhere else.
        *(module_capability(module) for module in sorted(modules, key=lambda module: module.name)),
    )


@lru_cache(maxsize=256)
def content_id(modules: tuple[ModuleInfo, ...]) -> str:
    """Fingerprint of a set of modules, the same for all stations that have it."""
    names = sorted(f"{module.name}@{module.revision}:{','.join(module.features)}" for module in modules)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
