"""Basic types of the network files: the base of all models, and small types with their limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import cache, cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticKnownError

from controller.models.untrusted import is_meant

#: Owner name of everything that belongs to no tenant.
HOST = "host"


class Noun(BaseModel):
    """Base of every frozen model: unknown fields are errors, and changes are made by copying.

    Attributes:
        ELSEWHERE: Fields that files of other products have, and that people write by habit → what there is instead.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = {}

    # A process uses only some of the nouns, so a validator is built at its first use and not at each start.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ignored_types=(cached_property,), defer_build=True
    )

    def model_post_init(self, _context: object) -> None:
        """Share the set of given fields: nobody reads it, and it takes as much memory as the noun itself."""
        object.__setattr__(self, "__pydantic_fields_set__", _fields(type(self)))

    @classmethod
    def model_construct(  # type: ignore[override]  # pydantic's plugin gives it each noun's own fields
        cls, _fields_set: set[str] | None = None, **values: Any
    ) -> Self:
        """Make a noun of values that need no validation, as those of our own record.

        Pydantic's own method takes longer than validation, since it looks for aliases, which no noun has.
        """
        if tuple(values) != _names(cls):
            values = {
                name: values[name] if name in values else field.get_default(call_default_factory=True)
                for name, field in cls.model_fields.items()
                if name in values or not field.is_required()
            }
        noun = cls.__new__(cls)
        object.__setattr__(noun, "__dict__", values)
        object.__setattr__(noun, "__pydantic_fields_set__", _fields(cls))
        object.__setattr__(noun, "__pydantic_extra__", None)
        object.__setattr__(noun, "__pydantic_private__", None)
        return noun


@dataclass(frozen=True, slots=True)
class Codes:
    """Marks a text that a device tells: one of these codes, or empty where it does not tell it.

    A value that is none of them stays as it came; but a playbook that compares with one is wrong.
    """

    names: tuple[str, ...]


class DerivingNoun(Noun):
    """A noun of which some fields are computed from the others: it can be read back from its own JSON."""

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, given: Any) -> Any:
        """Drop computed fields of an answer of the API: they are worked out anew."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if name not in cls.model_computed_fields}


@cache
def _names(noun: type[Noun]) -> tuple[str, ...]:
    return tuple(noun.model_fields)


@cache
def _fields(noun: type[Noun]) -> set[str]:
    return set(_names(noun))


Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"),
    Field(description="Lower-case letters, digits and inner hyphens, at most 64."),
]
StationId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$"),
    Field(description="Letters, digits, inner hyphens and underscores, at most 64, as in PE-CUS-0042."),
]
CellId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,30}[A-Za-z0-9])?$"),
    Field(description="Name of the cell within its station, as in 1 or n78-1."),
]

#: PLMN identity as ``MCC-MNC``. 716-06 and 716-006 are different networks (TS 23.003 §2.2).
Plmn = Annotated[
    str,
    StringConstraints(pattern=r"^[02-79][0-9]{2}-[0-9]{2,3}$"),
    Field(description="MCC-MNC with a three-digit MCC and a two- or three-digit MNC, as in 716-06."),
]


def mcc_mnc(plmn: str) -> tuple[str, str]:
    """Split ``716-06`` into ``("716", "06")``."""
    mcc, mnc = plmn.split("-")
    return mcc, mnc


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:  # Unknown, malformed, or the name of a directory.
        raise ValueError("not an IANA time zone, as in America/Lima") from error
    return value


def _ip_address(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ip_address(value)
    except ValueError as error:
        raise ValueError("not an IP address, as in 10.64.0.1 or 2001:db8::1") from error


def _interface_address(value: Any) -> Any:
    wrong = "not an IPv4 address with its length, as in 10.64.0.1/30"
    if not isinstance(value, str):
        return value
    if "/" not in value:
        raise ValueError(wrong)
    try:
        return IPv4Interface(value)
    except ValueError as error:
        raise ValueError(wrong) from error


#: Networks in which no node that a station sends to can be: this network, loopback, link-local (a VRF's own links) and
#: multicast.
_NOWHERE = tuple(map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe00::/7")))


def _prefix(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value)
    except ValueError:
        pass
    try:
        right = str(ip_network(value, strict=False))
    except ValueError as error:
        raise ValueError("not a network or an address, as in 10.64.0.0/24 or 10.64.0.1") from error
    raise ValueError(f"has bits beyond its length; right is {right}")


def _somewhere(value: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    for reserved in _NOWHERE:
        if value.version == reserved.version and value.overlaps(reserved):
            raise ValueError(f"overlaps {reserved}, where no core has its nodes")
    return value


Timezone = Annotated[str, AfterValidator(_timezone)]
Percent = Annotated[int, Field(ge=0, le=100)]
IpAddress = Annotated[IPv4Address | IPv6Address, BeforeValidator(_ip_address)]
#: A network with nodes of a core, or one address.
Prefix = Annotated[IPv4Network | IPv6Network, BeforeValidator(_prefix), AfterValidator(_somewhere)]
#: An IPv4 address with the length of its network, as on an interface.
InterfaceAddress = Annotated[IPv4Interface, BeforeValidator(_interface_address)]
#: A name that people use: one line without control characters, which could manipulate terminals.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    Field(description="One line of text, at most 200 characters."),
]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    Field(description="One line of text, at most 1000 characters."),
]
Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(description="Country code of ISO 3166-1, as in PE.")
]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="Currency code of ISO 4217, as in PEN.")
]


def _host_address(name: str) -> str:
    """What looks like an IP address is one: a name whose last label is a number is no host name (RFC 3696 §2)."""
    if ":" in name or name.rstrip(".").rpartition(".")[2].isdecimal():
        try:
            ip_address(name)
        except ValueError:
            raise ValueError("no IP address, and no host name, whose last part is no number") from None
    return name


#: Only an IPv6 address has colons, and then at least two: a port is a field of its own.
HostAddress = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f.]{0,15}:[0-9A-Fa-f:.]{0,39})$"),
    AfterValidator(_host_address),
    Field(description="Host name or IP address, without port."),
]


def canonical_host(name: str) -> str:
    """The one form of a host name or IP address by which it is compared with others."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name.lower()


EmailAddress = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$", max_length=254),
    Field(description="An e-mail address, as in noc@bitel.example."),
]
WebhookUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?:https://[A-Za-z0-9.-]+|http://(?:127\.0\.0\.1|localhost))(?::[0-9]{1,5})?(?:/[\x21-\x7e]*)?$",
        max_length=500,
    ),
    Field(description="An https URL, as in https://noc.bitel.example/minka; http on this machine only."),
]
HostKey = Annotated[
    str,
    StringConstraints(pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+$"),
    Field(description="Public host key as in a known_hosts line, without the host name."),
]
FolderPath = Annotated[
    str,
    StringConstraints(pattern=r"^(?:/[A-Za-z0-9_+=@,-][A-Za-z0-9._+=@,-]*)+$", max_length=200),
    Field(description="Absolute path of a folder, as in /pm or /var/pm/files."),
]
Metric = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$"),
    Field(description="Name of a family of counters or of one counter, as in RRC or RRU.PrbTotDl (TS 28.623)."),
]
Fingerprint = Annotated[
    str,
    StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"),
    Field(description="SHA-256 of a certificate's DER form, as in sha256: and 64 lower-case hex digits."),
]
ProbableCause = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$"),
    Field(description="Probable cause of an alarm, as in o-ran-fault-26 or 3gpp-power-problem."),
]
Username = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$"),
    Field(description="Letters, digits, dots, underscores, hyphens and @, at most 64."),
]
Reference = Annotated[
    str,
    StringConstraints(pattern=r"^(env:[A-Z_][A-Z0-9_]*|file:\S+)$"),
    Field(description="Reference to a secret, env:NAME or file:PATH; never the secret itself."),
]
Credential = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", max_length=64),
    Field(description="Name of a credential of the server's settings, as in device; never the secret itself."),
]


def words(value: Any) -> Any:
    """Split a CSV cell that holds a list as words separated by blanks."""
    return value.split() if isinstance(value, str) else value


Band = Annotated[
    str, StringConstraints(pattern=r"^[Bn][0-9]{1,3}$"), Field(description="Operating band, as in B28 or n78.")
]


def choice(value: object) -> object:
    """In YAML a choice such as 3 is a number where it has no quotes."""
    return str(value) if type(value) is int else value


def whole_number(value: Any) -> Any:
    """A number of text, since pydantic does not convert choices of numbers by itself."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _day(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("not a date, as in 2025-12-31")
    return value


def _time_of_day(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", value):
        raise ValueError("not a time of day, as in 01:30 or 23:00")
    return value


Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]

SliceDifferentiator = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9A-Fa-f]{6}$", to_upper=True),
    Field(description="Slice differentiator, six hex digits; FFFFFF means none."),
]
Platform = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$"), Field(description="Device type of netmiko, as in cisco_ios.")
]


InterfaceName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9/_-]{0,47}$"),
    Field(description="A port by its full name as the router writes it, as in GigabitEthernet0/0/0."),
]


class Rat(StrEnum):
    """Radio access technology of a cell."""

    LTE = "LTE"
    NR = "NR"

    @property
    def plmn_limit(self) -> int:
        """The most PLMNs that a cell can broadcast: TS 36.331 maxPLMN-r11, TS 38.331 maxPLMN."""
        return 6 if self is Rat.LTE else 12


#: Radio technology of each profile of stations, by name; ``register`` of ``controller.nrm.profiles`` adds further ones.
PROFILE_RATS: dict[str, Rat] = {"lte-28658": Rat.LTE, "nr-28541": Rat.NR}


def _profile(value: str) -> str:
    if value not in PROFILE_RATS:
        names = [repr(name) for name in PROFILE_RATS]
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(names[:-1])} or {names[-1]}"})
    return value


Profile = Annotated[str, AfterValidator(_profile), Field(json_schema_extra={"enum": list(PROFILE_RATS)})]


# ------------------------------------------------------------------------ times


def _meant(at: datetime) -> datetime:
    if not is_meant(at):
        raise ValueError("a time is one of the years 1900 to 8999")
    return at.astimezone(UTC)


#: A time that a person or a program sends to the API, in UTC.
Moment = Annotated[AwareDatetime, AfterValidator(_meant)]
