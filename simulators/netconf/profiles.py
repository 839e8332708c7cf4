"""NETCONF profiles of stations: named sets of capabilities and habits, after servers found in the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from simulators.datastore import READ_ONLY, UNRESTRICTED, Access, Rule, WithDefaults
from simulators.equipment.alarms import AlarmList, AlarmSources
from simulators.equipment.files import FileHabits
from simulators.equipment.measurements import MEAS_COLLEC
from simulators.netconf.faults import FaultKind

#: Modes of with-defaults beside the basic one, in the order in which the capability names them.
_MODES: tuple[WithDefaults, ...] = ("report-all", "report-all-tagged", "trim", "explicit")


@dataclass(frozen=True, slots=True)
class Profile:
    """The capabilities of a station (RFC 6241 §8), and its behaviour where the RFCs leave it open.

    Attributes:
        base_1_1: Offers chunked framing.
        base_1_0: Offers end-of-message framing.
        confirmed_commit: Version of confirmed commits, None without.
        validate: Version of validation, None without; 1.1 brings test-only.
        basic_mode: Basic mode of with-defaults; None without with-defaults.
        tests_edits: An edit without test-option is tested as a whole, as RFC 6241 §7.2 wants where validate is
            advertised; many a device leaves it to validate and commit.
        replay: Notifications kept for replay, 0 without replay.
        yang_library: 1.1 as in RFC 8525, 1.0 as in RFC 7895, none without.
        max_sessions: Sessions at the same time; the next one gets no channel, or is dropped when ``drops_excess``.
        strict: Carrier and tracking area of an unlocked cell can't be changed: lock, change, unlock.
        access: Rights of users by name; others may do everything.
        faults: Kinds of faults that always strike.
        alarms: The interfaces over which it reports alarms.
        files: How it writes its measurement files.
    """

    base_1_1: bool = True
    base_1_0: bool = True
    candidate: bool = True
    writable_running: bool = False
    startup: bool = False
    confirmed_commit: Literal["1.0", "1.1"] | None = "1.1"
    rollback_on_error: bool = True
    validate: Literal["1.0", "1.1"] | None = "1.1"
    xpath: bool = False
    basic_mode: WithDefaults | None = "explicit"
    tests_edits: bool = True
    notification: bool = True
    interleave: bool = True
    replay: int = 0
    monitoring: bool = True
    yang_library: Literal["1.0", "1.1"] | None = "1.1"
    max_sessions: int = 32
    drops_excess: bool = False
    strict: bool = False
    access: Mapping[str, Access] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    faults: frozenset[FaultKind] = frozenset()
    alarms: AlarmSources = field(default_factory=AlarmSources)
    files: FileHabits = field(default_factory=FileHabits)

    @property
    def also_supported(self) -> tuple[WithDefaults, ...]:
        """Modes of with-defaults beside the basic one."""
        return tuple(mode for mode in _MODES if mode != self.basic_mode)

    @property
    def datastores(self) -> tuple[str, ...]:
        """Names of its datastores."""
        return (
            "running",
            *(("candidate",) if self.candidate else ()),
            *(("startup",) if self.startup else ()),
        )


_ENB = ("ManagedElement", "ENBFunction")
#: Rights of a team that sees no cells, writes only end points and can't lock.
_TRANSPORT = Access(
    (
        Rule(permit=False, rpc="lock"),
        Rule(permit=False, path=(*_ENB, "EUtranCellFDD")),
        Rule(permit=True, path=(*_ENB, "EP_S1C")),
    )
)

STANDARD = Profile()
_DIRECT = replace(STANDARD, candidate=False, writable_running=True, confirmed_commit=None)

#: Profiles by name, as command line and control interface know them.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "standard": STANDARD,
        "full": replace(STANDARD, writable_running=True, startup=True, xpath=True, replay=1000),
        "base-1.0": replace(STANDARD, base_1_1=False, confirmed_commit="1.0", validate="1.0"),
        "plain-commit": replace(STANDARD, confirmed_commit=None),
        "confirmed-commit-1.0": replace(STANDARD, confirmed_commit="1.0"),
        "writable-running": _DIRECT,
        "startup": replace(_DIRECT, startup=True, validate=None, rollback_on_error=False),
        "late-errors": replace(STANDARD, tests_edits=False),
        "strict": replace(STANDARD, strict=True),
        "trim": replace(STANDARD, basic_mode="trim"),
        "report-all": replace(STANDARD, basic_mode="report-all"),
        "library-1.0": replace(STANDARD, yang_library="1.0"),
        "guarded": replace(
            STANDARD, access=MappingProxyType({"viewer": READ_ONLY, "transport": _TRANSPORT, "admin": UNRESTRICTED})
        ),
        "oran-fm-only": replace(STANDARD, alarms=AlarmSources(alarm_list=AlarmList.MISSING, external_io=True)),
        "alarm-list-only": replace(STANDARD, alarms=AlarmSources(oran_fm=False)),
        "alarms-twice": replace(STANDARD, alarms=AlarmSources(twice=True, external_io=True)),
        "alarm-list-locked": replace(STANDARD, alarms=AlarmSources(alarm_list=AlarmList.LOCKED, external_io=True)),
        "alarm-list-rebuilt": replace(STANDARD, alarms=AlarmSources(alarm_list=AlarmList.REBUILT)),
        "files-compressed": replace(STANDARD, files=FileHabits(compressed=True)),
        "no-files": replace(STANDARD, files=FileHabits(served=False)),
        "files-32.435": replace(STANDARD, files=FileHabits(MEAS_COLLEC)),
        "files-by-position": replace(STANDARD, files=FileHabits(by_position=True)),
        # Behaviour seen on real servers, one bundle each.
        "like-yuma123": replace(
            STANDARD,
            xpath=True,
            replay=1000,
            faults=frozenset({FaultKind.VALIDATE_SPOILS_COMMIT, FaultKind.PLACES_UNKNOWN}),
        ),
        "like-netopeer2": replace(
            STANDARD,
            xpath=True,
            tests_edits=False,
            max_sessions=254,
            drops_excess=True,
            faults=frozenset({FaultKind.KEYLESS_IGNORED, FaultKind.DIRTY_LOCK_FAILS}),
        ),
        "like-clixon": replace(
            STANDARD,
            xpath=True,
            tests_edits=False,
            faults=frozenset(
                {FaultKind.ROLLBACK_EMPTIES_RUNNING, FaultKind.SUBSCRIPTION_REFUSED, FaultKind.CANDIDATE_KEPT}
            ),
        ),
    }
)


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        ValueError: there is no profile of that name.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ValueError(f"profile {name!r} is none of {', '.join(PROFILES)}") from None
