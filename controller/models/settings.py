"""Settings of all processes, from the environment (``MINKA_…``) with defaults for the embedded shape."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from controller.models.alarm import AlarmSource
from controller.models.errors import InputError
from controller.models.identity import parse_grants, private
from controller.models.process import ProcessRole
from controller.models.shipped import shipped
from controller.models.statement import CORRECTED_MONTHS, LONGEST_PROOF

#: An address of a webhook, or none.
_HTTP = r"^$|^https?://[^\s/]\S*$"
#: An address that a relay takes; other than a contact's, it may be one of this machine, as in root@localhost.
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_LAST_PORT = 65535
#: Schemes of database URLs, and the form of each.
_DATABASES = {
    "sqlite": "sqlite:///PATH",
    "postgresql": "postgresql://USER@HOST/DATABASE",
    "postgresql+psycopg": "postgresql+psycopg://USER@HOST/DATABASE",
}
_DATABASE_FORMS = f"{_DATABASES['postgresql']} of a server, or {_DATABASES['sqlite']} for a file on this machine"

#: Refuses a password whose rest the libraries would take for a host or a path, and name in their errors.
_ENCODED = "has a user or password that can't be told from the rest; write %2F for / and %40 for @ in it"


def _server(value: str, schemes: Collection[str], example: str, *, with_user: bool = False) -> str:
    """Check the address of one server: scheme, host, and maybe a port; with a user where it takes one.

    Raises:
        ValueError: It is none; the message has no password.
    """
    parts, port = _split(value, f"as in {example}")
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {', '.join(f'{one}://' for one in schemes)}, as in {example}")
    if not parts.hostname or port == 0:
        raise ValueError(f"names no {'port' if parts.hostname else 'host'}, as in {example}")
    if parts.password is not None or (parts.username is not None and not with_user):
        where = "set MINKA_MAIL_CREDENTIAL for the password" if with_user else "nobody logs in there"
        raise ValueError(f"takes no {'password' if with_user else 'user'} ({where}), as in {example}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"has more than scheme, host and port, as in {example}")
    return value


def _split(value: str, right: str) -> tuple[SplitResult, int | None]:
    """The parts of a URL, and its port. Raises ValueError with what would be right."""
    try:
        parts = urlsplit(value)
        return parts, parts.port
    except ValueError as error:
        raise ValueError(f"is no address with a port from 1 to {_LAST_PORT}; {right}") from error


#: Settings that say where other programs and people are, or where stations call.
_OUTSIDE = (
    *("database_url", "broker_url", "api_url", "alertmanager_url", "escalation_url", "notify_url", "oidc_issuer"),
    *("mail_relay", "mail_from", "mail_to", "syslog", "call_home", "call_home_tls"),
)


class Settings(BaseSettings):
    """Where things are, and how much is done at once.

    Without any variable, all files are under ``home``, and no server is needed.
    """

    model_config = SettingsConfigDict(env_prefix="MINKA_", frozen=True, extra="ignore", allow_inf_nan=False)

    home: Path = Field(default=Path(".minka"), description="Folder of the embedded database, spool, token and logs.")
    database_url: str = Field(
        default="",
        description="postgresql://USER@HOST/DATABASE or sqlite:///PATH; empty, for `minka up` only: SQLite under home.",
    )
    broker_url: str = Field(
        default="minka-spool://",
        pattern=r"^minka-spool://|^(redis|rediss|unix|sentinel)://.+",
        description="Celery broker: minka-spool:// or redis://…",
    )
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8470, ge=0, le=65535)
    api_url: str = Field(default="", description="Where the command line finds the API; empty means api_host:api_port.")
    token: str = Field(default="", description="API token of the command line; empty: of minka login, or the file.")
    webhook_token: str = Field(
        default="",
        pattern=r"^$|^[!-~]{32,}$",
        description="Bearer token of alarm sources; opens webhooks only; 32 characters or more; valid for a year.",
    )
    ves_token: str = Field(
        default="",
        pattern=r"^$|^[!-~]{32,}$",
        description="Password of VES sources (user ves), or their bearer token; as MINKA_WEBHOOK_TOKEN.",
    )
    heartbeat_misses: int = Field(
        default=3, ge=1, description="Heartbeats by VES that a device misses in a row before that is an alarm."
    )
    alertmanager_url: str = Field(
        default="",
        pattern=_HTTP,
        description="Alertmanager, from which alerts are read that it cut off a webhook call; empty: they are missed.",
    )
    escalation_url: str = Field(
        default="", pattern=_HTTP, description="Webhook that receives what automation could not repair."
    )
    notify_url: str = Field(
        default="", pattern=_HTTP, description="Webhook of the action notify and of notices to tenants."
    )
    mail_relay: str = Field(
        default="",
        description="Relay for e-mail from notify: smtp://, starttls:// or smtps://, as in starttls://user@relay:587.",
    )
    mail_credential: str = Field(
        default="",
        pattern=r"^$|^(file|env):.+",
        description="Reference to the relay's password, as in env:NAME or file:PATH.",
    )
    mail_from: str = Field(default="", description="Sender address of e-mail.")
    mail_to: str = Field(default="", description="Recipient addresses of e-mail, separated by blanks.")
    syslog: str = Field(
        default="",
        description="Collector for syslog from notify: udp://, tcp:// or tls://, as in tls://collector:6514.",
    )
    notify_authority: str = Field(
        default="",
        description="File with the certificates of the authorities of relay and collector; empty: the system's.",
    )
    audit_keys: str = Field(
        default="",
        pattern=r"^$|^(file|env):.+",
        description="Keys of the audit trail, file:PATH or env:NAME; empty: the file audit-keys under home.",
    )
    audit_anchors: Path | None = Field(
        default=None, description="File to which anchors of the audit trail are added; empty: audit-anchors under home."
    )
    anchor_interval: float = Field(default=60.0, gt=0, description="Seconds between two anchors of the audit trail.")
    signing_keys: str = Field(
        default="",
        pattern=r"^$|^(file|env):.+",
        description="Keys that sign statements and heads of the audit trail, file:PATH or env:NAME; empty: the file "
        "signing-keys under home.",
    )
    signing_name: str = Field(
        default="minka",
        pattern=r"^[!-*,-~]{1,200}$",
        description="Name of a new key that signs, as in evidence.host.example; others verify by name and key.",
    )
    software_sources: str = Field(
        default="",
        pattern=r"^\s*([a-z]+://\S+/\s*)*$",
        description="Prefixes of addresses from which stations may fetch software, as in sftp://10.0.0.1/images/, "
        "separated by blanks; empty: no downloads.",
    )
    untrusted_software: str = Field(
        default="",
        pattern=r"^\s*([0-9a-f]{16}(\s+|$))*$",
        description="Software of stations whose confirmed commit is not used, separated by blanks: the 16 hexadecimal "
        "digits that begin the object of an audit row behaviour.learned; these stations are changed with the stored "
        "inverse.",
    )
    carry_generation: bool = Field(
        default=False,
        description="Whether stations carry a generation in userDefinedState, which reveals a restored database.",
    )
    rules: Path = Field(default=shipped("playbooks/rules"), description="Folder of remediation rules.")
    kpis: Path = Field(default=shipped("playbooks/kpis"), description="Folder of definitions of KPIs.")
    playbooks: Path = Field(default=shipped("playbooks"), description="Folder of playbooks.")
    repair_limit: int = Field(
        default=20,
        ge=1,
        description="Automatic repairs within repair_limit_minutes; one more stops all automatic repair.",
    )
    repair_limit_minutes: float = Field(
        default=10.0, gt=0, description="Minutes over which automatic repairs are counted."
    )
    repairs_per_device: int = Field(default=4, ge=1, description="Automatic repairs of a device within an hour.")
    repairs_per_site: int = Field(default=6, ge=1, description="Automatic repairs at a site within an hour.")
    repairs_per_region: int = Field(default=20, ge=1, description="Automatic repairs in a region within an hour.")
    repairs_per_tenant: int = Field(
        default=30, ge=1, description="Automatic repairs within an hour of what concerns the same tenant."
    )
    repair_share: float = Field(
        default=5.0, gt=0, le=100, description="Per cent of a region's stations under repair at once, one in any case."
    )
    capacity: int = Field(default=2000, ge=1, description="Concurrent device transactions in one worker.")
    workers: int = Field(default=1, ge=1, description="Worker processes of `minka up`.")
    health_interval: float = Field(default=30.0, gt=0, description="Seconds between two health reads of a station.")
    cell_settle: float = Field(
        default=60.0, ge=0, description="Seconds that an unlocked cell has to come on air before that is an alarm."
    )
    alarm_sources: str = Field(
        default="check oran-fm alarm-list alertmanager ves",
        description="Who may raise and clear alarms: check (Minka's own), oran-fm, alarm-list, alertmanager, ves.",
    )
    report_days: float = Field(
        default=30.0, ge=1, description="Days for which reports of alarms are kept after they were received last."
    )
    report_limit: int = Field(
        default=1_000_000, ge=1000, description="Reports of alarms that are kept at most; the oldest go first."
    )
    period_days: float = Field(
        default=LONGEST_PROOF.days,
        description="Days for which measurements are kept as they came, by periods of 15 minutes; at least 155.",
    )
    hour_days: float = Field(default=400.0, ge=2, description="Days for which measurements are kept by the hour.")
    day_days: float = Field(default=3653.0, ge=2, description="Days for which measurements are kept by day and month.")
    credentials: Path | None = Field(
        default=None,
        description="File that names the secrets of devices and their networks; none: `device`, on this machine only.",
    )
    alert_causes: str = Field(
        default="",
        description="Probable causes of alerts that are kept, beside Minka's own and those that rules answer.",
    )
    call_home: str = Field(
        default="",
        pattern=r"^$|^.+:[0-9]+$",
        description="Where stations call home over SSH, HOST:PORT, for the API; other processes use the next ports.",
    )
    call_home_tls: str = Field(
        default="",
        pattern=r"^$|^.+:[0-9]+$",
        description="The same for stations that call home over TLS; ports of its own.",
    )
    shifts: str = Field(
        default="06:00,14:00,22:00",
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](,([01][0-9]|2[0-3]):[0-5][0-9]){0,23}$",
        description="When shifts of the NOC begin, in the network's time zone: the time of `minka shift report`.",
    )
    rpc_timeout: float = Field(default=60.0, gt=0, description="Seconds to wait for a device's answer.")
    oidc_issuer: str = Field(default="", description="Issuer of the identity provider; empty means none.")
    oidc_client_id: str = Field(default="", description="Minka's client id at the identity provider.")
    oidc_client_secret: str = Field(default="", description="Minka's client secret there; empty for a public client.")
    oidc_device_client_id: str = Field(
        default="", description="Client id of the command line there; empty: the client id above, if it has no secret."
    )
    oidc_clients: str = Field(
        default="", description="Ids of other clients there whose tokens for Minka are accepted, separated by blanks."
    )
    oidc_max_age: float = Field(
        default=12.0, gt=0, description="Hours after which a token of the provider is refused, even before its end."
    )
    oidc_audience: str = Field(default="", description="Audience of bearer tokens; empty means the client id.")
    oidc_name_claim: str = Field(default="email", description="Claim that names people on the audit trail.")
    oidc_groups_claim: str = Field(default="groups", description="Claim that lists a person's groups.")
    oidc_roles: str = Field(default="", description="Roles by group: noc=noc-engineer ops=tenant-approver:bitel …")
    log_format: str = Field(default="json", pattern="^(json|console)$")

    @field_validator("api_port", mode="before")
    @classmethod
    def _not_of_a_service(cls, value: object) -> object:
        """Leave out what Kubernetes sets in pods beside a Service called ``minka-api``: ``MINKA_API_PORT=tcp://…``."""
        of_service = isinstance(value, str) and re.fullmatch(r"(tcp|udp|sctp)://.*", value)
        return cls.model_fields["api_port"].default if of_service else value

    @field_validator("alarm_sources")
    @classmethod
    def _known_sources(cls, value: str) -> str:
        strange = [word for word in value.split() if word not in set(AlarmSource)]
        if strange:
            raise ValueError(f"{strange[0]!r} is not a source of alarms; the sources are {', '.join(AlarmSource)}")
        return " ".join(value.split())

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        """Refuse what is neither PostgreSQL nor a file of SQLite: processes do not share a database in memory."""
        scheme, found, rest = value.partition("://")
        if value and (not found or scheme not in _DATABASES):
            said = repr(scheme) if found else "it"
            raise ValueError(f"{said} is no database of Minka; right is {_DATABASE_FORMS}")
        if scheme == "sqlite" and (not rest.startswith("/") or rest.strip("/") in ("", ":memory:")):
            raise ValueError(f"names no file; right is {_DATABASES['sqlite']}, with three slashes before the path")
        if scheme.startswith("postgresql"):
            _split(value, f"right is {_DATABASE_FORMS}")
            if rest.partition("/")[0].count("@") > 1:
                raise ValueError(_ENCODED)
        return value

    @field_validator("broker_url")
    @classmethod
    def _readable_broker(cls, value: str) -> str:
        """Refuse what would be read as a database that is called as the rest of a password, and logged so."""
        for one in value.split(";"):
            if "@" in one.partition("://")[2].partition("/")[2]:
                raise ValueError(_ENCODED)
        return value

    @field_validator("syslog")
    @classmethod
    def _one_collector(cls, value: str) -> str:
        return value and _server(value, ("udp", "tcp", "tls"), "tls://collector:6514")

    @field_validator("mail_relay")
    @classmethod
    def _one_relay(cls, value: str) -> str:
        return value and _server(value, ("smtp", "starttls", "smtps"), "starttls://user@relay:587", with_user=True)

    @field_validator("mail_to", "mail_from")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for word in value.split():
            if not _EMAIL.fullmatch(word):
                raise ValueError(
                    f"{word!r} is no e-mail address; right is noc@bitel.example, and several are separated by blanks"
                )
        return " ".join(value.split())

    @field_validator("mail_from")
    @classmethod
    def _one_sender(cls, value: str) -> str:
        if " " in value:
            raise ValueError("names several senders; right is one address, as in minka@host.example")
        return value

    @field_validator("call_home", "call_home_tls")
    @classmethod
    def _ports_for_all(cls, value: str) -> str:
        last = _LAST_PORT - len(ProcessRole) + 1
        if value and not 1 <= int(value.rpartition(":")[2]) <= last:
            raise ValueError(f"needs a port from 1 to {last}, as in 0.0.0.0:4334: other processes use the next ones")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _private_issuer(cls, value: str) -> str:
        try:
            return value and private(value)
        except InputError as error:
            raise ValueError(error.message) from error

    @field_validator("oidc_roles")
    @classmethod
    def _known_roles(cls, value: str) -> str:
        try:
            parse_grants(value)
        except InputError as error:
            raise ValueError(error.message) from error
        return value

    @model_validator(mode="after")
    def _known_to_its_provider(self) -> Settings:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("with MINKA_OIDC_ISSUER, MINKA_OIDC_CLIENT_ID must be set: Minka's client id there")
        return self

    @model_validator(mode="after")
    def _one_for_each_port(self) -> Settings:
        if (self.call_home or self.call_home_tls) and self.workers > 1:
            raise ValueError("with MINKA_CALL_HOME, MINKA_WORKERS must be 1: a station's call reaches one worker only")
        if self.call_home and self.call_home_tls:
            first, second = (int(one.rpartition(":")[2]) for one in (self.call_home, self.call_home_tls))
            if abs(first - second) < len(ProcessRole):
                raise ValueError(
                    f"MINKA_CALL_HOME and MINKA_CALL_HOME_TLS overlap: each takes {len(ProcessRole)} ports from the"
                    " named one on"
                )
        return self

    @model_validator(mode="after")
    def _finer_goes_first(self) -> Settings:
        if self.period_days < LONGEST_PROOF.days:
            raise ValueError(
                f"MINKA_PERIOD_DAYS must be {LONGEST_PROOF.days} or more: a settlement reads the periods of its month"
                f" and of the {CORRECTED_MONTHS} before it, and may be issued a month later"
            )
        if not self.period_days <= self.hour_days <= self.day_days:
            raise ValueError(
                "MINKA_HOUR_DAYS must be MINKA_PERIOD_DAYS or more, and MINKA_DAY_DAYS must be MINKA_HOUR_DAYS or more"
            )
        return self

    def cut_off(self) -> Settings:
        """The same settings without any address of another program or person."""
        return self.model_copy(update={name: type(self).model_fields[name].default for name in _OUTSIDE})

    @property
    def sources(self) -> frozenset[AlarmSource]:
        """Sources that may raise and clear alarms."""
        return frozenset(AlarmSource(word) for word in self.alarm_sources.split())

    @property
    def database(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{(self.home / 'minka.sqlite3').absolute()}"

    @property
    def references(self) -> tuple[str, ...]:
        """References of settings to secrets, as in ``env:NAME``."""
        return tuple(filter(None, (self.audit_keys, self.signing_keys, self.mail_credential)))

    @property
    def key_file(self) -> Path:
        """File with the keys of the audit trail, unless they come from the environment."""
        kind, _, name = self.audit_keys.partition(":")
        return Path(name) if kind == "file" else self.home / "audit-keys"

    @property
    def signing_file(self) -> Path:
        """File with the keys that sign what others keep, unless they come from the environment."""
        kind, _, name = self.signing_keys.partition(":")
        return Path(name) if kind == "file" else self.home / "signing-keys"

    @property
    def anchor_file(self) -> Path:
        """File with anchors of the audit trail."""
        return self.audit_anchors or self.home / "audit-anchors"

    @property
    def url(self) -> str:
        """The API's base URL as clients see it."""
        host = f"[{self.api_host}]" if ":" in self.api_host else self.api_host
        return self.api_url or f"http://{host}:{self.api_port}"

    @property
    def token_file(self) -> Path:
        """File with the embedded token (mode 600)."""
        return self.home / "token"
