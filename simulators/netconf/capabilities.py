"""The capabilities that a station announces (RFC 6241 §8, RFC 6243 §4, RFC 7950 §5.6.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote

from simulators.datastore import ModuleInfo
from simulators.datastore.compiler import YANG_PATH
from simulators.equipment.alarms import AlarmList
from simulators.netconf.profiles import Profile

BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"
_CAPABILITY = "urn:ietf:params:netconf:capability"
#: Feature of _3gpp-common-managed-element of those that have an AlarmList.
ALARM_LIST_FEATURE = "FmUnderManagedElement"
#: Revision of ietf-yang-library by version of the capability: RFC 7895, RFC 8525.
_LIBRARY = {"1.0": "2016-06-21", "1.1": "2019-01-04"}


def _protocol(profile: Profile) -> Iterator[str]:
    """The capabilities of a profile, in the order of the RFCs."""
    if profile.base_1_0:
        yield BASE_1_0
    if profile.base_1_1:
        yield BASE_1_1
    for name, offered in (
        ("writable-running:1.0", profile.writable_running),
        ("candidate:1.0", profile.candidate),
        ("confirmed-commit:1.0", profile.confirmed_commit is not None),
        ("confirmed-commit:1.1", profile.confirmed_commit == "1.1"),
        ("rollback-on-error:1.0", profile.rollback_on_error),
        ("validate:1.0", profile.validate is not None),
        ("validate:1.1", profile.validate == "1.1"),
        ("startup:1.0", profile.startup),
        ("xpath:1.0", profile.xpath),
        ("notification:1.0", profile.notification),
        ("interleave:1.0", profile.notification and profile.interleave),
    ):
        if offered:
            yield f"{_CAPABILITY}:{name}"
    if profile.basic_mode is not None:
        also = ",".join(profile.also_supported)
        yield f"{_CAPABILITY}:with-defaults:1.0?basic-mode={profile.basic_mode}&also-supported={also}"


def module_capability(module: ModuleInfo) -> str:
    """The capability of a YANG module in a hello."""
    capability = f"{module.namespace}?module={quote(module.name)}"
    if module.revision:
        capability += f"&revision={module.revision}"
    if module.features:
        capability += "&features=" + ",".join(sorted(module.features))
    if module.deviations:
        capability += "&deviations=" + ",".join(module.deviations)
    return capability


def _features(profile: Profile) -> tuple[str, ...]:
    """Features of ietf-netconf; confirmed-commit and validate are those of version 1.1 (RFC 6241, appendix C)."""
    return tuple(
        name
        for name, offered in (
            ("candidate", profile.candidate),
            ("confirmed-commit", profile.confirmed_commit == "1.1"),
            ("rollback-on-error", profile.rollback_on_error),
            ("startup", profile.startup),
            ("validate", profile.validate == "1.1"),
            ("writable-running", profile.writable_running),
            ("xpath", profile.xpath),
        )
        if offered
    )


#: Modules that a station lacks if it does not have their subject.
_OPTIONAL: Mapping[str, Callable[[Profile], bool]] = {
    "ietf-netconf-monitoring": lambda profile: profile.monitoring,
    "ietf-netconf-notifications": lambda profile: profile.notification,
    "ietf-netconf-with-defaults": lambda profile: profile.basic_mode is not None,
    "ietf-yang-library": lambda profile: profile.yang_library is not None,
    "notifications": lambda profile: profile.notification,
    "o-ran-externalio": lambda profile: profile.alarms.external_io,
    "o-ran-fm": lambda profile: profile.alarms.oran_fm,
    "nc-notifications": lambda profile: profile.notification,
}


@lru_cache(maxsize=256)
def modules_of_station(modules: tuple[ModuleInfo, ...], profile: Profile) -> tuple[ModuleInfo, ...]:
    """The modules of a station, with the features that it has."""
    return tuple(
        _as_offered(module, profile)
        for module in modules
        if module.name not in _OPTIONAL or _OPTIONAL[module.name](profile)
    )


def _as_offered(module: ModuleInfo, profile: Profile) -> ModuleInfo:
    if module.name == "ietf-netconf":
        return replace(module, features=_features(profile))
    if module.name == "_3gpp-common-managed-element" and profile.alarms.alarm_list is AlarmList.MISSING:
        return replace(module, features=tuple(name for name in module.features if name != ALARM_LIST_FEATURE))
    if module.name == "ietf-yang-library" and profile.yang_library == "1.0":
        revision = _LIBRARY["1.0"]
        path = YANG_PATH / "older" / f"{module.name}@{revision}.yang"
        return replace(module, revision=revision, source_path=path)
    return module


@lru_cache(maxsize=256)
def of_station(modules: tuple[ModuleInfo, ...], profile: Profile) -> tuple[str, ...]:
    """All capabilities of a station with these modules, which are those of ``modules_of_station``."""
    return (
        *_protocol(profile),
        *_library(modules, profile),
        # Also modules that are only imported: clients without yang-library learn of them nowhere else.
        *(module_capability(module) for module in sorted(modules, key=lambda module: module.name)),
    )


def _library(modules: tuple[ModuleInfo, ...], profile: Profile) -> Iterator[str]:
    if profile.yang_library is not None:
        fingerprint = "content-id" if profile.yang_library == "1.1" else "module-set-id"
        name = f"{_CAPABILITY}:yang-library:{profile.yang_library}"
        yield f"{name}?revision={_LIBRARY[profile.yang_library]}&{fingerprint}={content_id(modules)}"


@lru_cache(maxsize=256)
def content_id(modules: tuple[ModuleInfo, ...]) -> str:
    """Fingerprint of a set of modules, the same for all stations that have it."""
    names = sorted(f"{module.name}@{module.revision}:{','.join(module.features)}" for module in modules)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
