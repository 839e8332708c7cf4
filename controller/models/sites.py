"""Nouns of the installed network: regions, the backhaul, sites, and the stations, cells and routers that stand there.

Limits and their sources are beside the fields (3GPP TS 28.541, TS 28.658, TS 36.101, TS 38.104).
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_serializer, model_validator

from controller.models.cloud import (
    FunctionId,
)
from controller.models.credentials import ManagementDefaults
from controller.models.scalars import (
    PROFILE_RATS,
    Band,
    CellId,
    Credential,
    Fingerprint,
    FolderPath,
    HostAddress,
    HostKey,
    Identifier,
    InterfaceAddress,
    InterfaceName,
    IpAddress,
    Name,
    Noun,
    Platform,
    Plmn,
    Profile,
    Rat,
    StationId,
    Text,
    Timezone,
    Username,
    choice,
    whole_number,
    words,
)
from controller.models.sharing import (
    MaintenanceWindow,
)


class PowerUnit(StrEnum):
    """Unit in which LTE stations take maximumTransmissionPower, of which no text of TS 28.658 that we found says it."""

    TENTHS = "0.1 dBm"
    WHOLE = "dBm"

    @property
    def in_a_db(self) -> int:
        """How many of it are one dB."""
        return 10 if self is PowerUnit.TENTHS else 1


class Region(Noun):
    """A part of the country that agreements refer to.

    ``windows`` are the times when service may be interrupted there, in local time; none means at any time.
    """

    id: Identifier
    name: Name
    timezone: Timezone | None = None
    windows: tuple[MaintenanceWindow, ...] = ()


class BackhaulKind(StrEnum):
    """Transport technology of a backhaul node."""

    FIBRE = "fibre"
    MICROWAVE = "microwave"
    SATELLITE = "satellite"


class BackhaulNode(Noun):
    """A node of the backhaul tree. ``parent`` leads towards the core; a root has none."""

    id: Identifier
    kind: BackhaulKind
    parent: Identifier | None = None
    capacity_mbps: Annotated[int, Field(gt=0)] = 1000
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    route: Text | None = Field(
        None, description="Way of its link to the parent, for people who look for a cut: road, ducts, poles, hops."
    )

    @model_validator(mode="after")
    def _position(self) -> BackhaulNode:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("a position needs both latitude and longitude")
        return self


class ExternalInput(Noun):
    """An external input (dry contact) of the stations at a site, which tells of the site's power (O-RAN.WG4.MP).

    Attributes:
        input: Its name at the station, as in ``/external-io/input/name``.
        cause: The probable cause that it tells: the mains are lost, or the site runs on its battery.
        when: The state of the circuit that tells it. If it opens with the fault, a broken wire tells it too.
    """

    input: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^=;]*$")]
    cause: Literal["mains-lost", "on-battery"]
    when: Literal["open", "closed"] = "open"

    @model_validator(mode="before")
    @classmethod
    def _of_word(cls, value: Any) -> Any:
        """What a CSV cell has of it, as in ``di-1=mains-lost`` or ``di-2=on-battery:closed``."""
        if not isinstance(value, str):
            return value
        name, is_one, told = value.partition("=")
        cause, says_when, when = told.partition(":")
        if not is_one:
            raise ValueError("must be INPUT=CAUSE or INPUT=CAUSE:closed, as in di-1=mains-lost")
        return {"input": name, "cause": cause.strip()} | ({"when": when.strip()} if says_when else {})

    def __str__(self) -> str:
        """As a CSV cell has it."""
        return f"{self.input}={self.cause}{'' if self.when == 'open' else f':{self.when}'}"


def _parts(value: Any) -> Any:
    """Split a CSV cell at its semicolons, since names may have blanks."""
    return [one for one in map(str.strip, value.split(";")) if one] if isinstance(value, str) else value


class Site(Noun):
    """A place with a mast; ``windows`` as for a region."""

    id: Identifier
    name: Name
    region: Identifier
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    population: Annotated[int, Field(ge=0)] = 0
    backhaul: Identifier | None = None
    access: Text | None = Field(None, description="How a person gets there: road, keys, guard, who to call before.")
    power: Text | None = Field(None, description="What feeds it, and for how long: mains, generator, batteries.")
    battery_hours: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="How long its batteries feed its stations without the mains."
    )
    external_inputs: Annotated[tuple[ExternalInput, ...], BeforeValidator(_parts), Field(max_length=16)] = Field(
        (), description="External inputs of its stations that tell of the mains and the battery."
    )
    windows: tuple[MaintenanceWindow, ...] = ()

    @field_serializer("external_inputs")
    def _as_cell(self, inputs: tuple[ExternalInput, ...]) -> str:
        return "; ".join(map(str, inputs))


class Station(Noun):
    """A base station: one management endpoint, one or more profiles, cells of its own.

    A station with an ``owner`` is that tenant's own, managed for it and not shared: no other agreement reaches it.
    A station without cells that names only a vcu-cp or vcu-up is the management endpoint of that part of a central
    unit. It and the stations that name the function form one gNB, with one ``gnb_id``.
    """

    id: StationId
    site: Identifier
    profiles: Annotated[tuple[Profile, ...], BeforeValidator(words), Field(min_length=1)]
    transport_address: IpAddress = Field(description="Local address of the core links, the same in each tenant's VRF.")
    enb_id: Annotated[int, Field(ge=0, lt=2**28)] | None = None
    enb_id_length: Annotated[Literal[18, 20, 21, 28], BeforeValidator(whole_number)] = 20
    gnb_id: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    gnb_id_length: Annotated[int, Field(ge=22, le=32)] = 24
    gnb_du_id: Annotated[int, Field(ge=0, lt=2**36)] | None = Field(
        None, description="Its gNB-DU id within the gNB, where its central unit is another endpoint."
    )
    enb_plmn: Plmn | None = Field(None, description="PLMN of its global eNB id; none means the host's.")
    gnb_plmn: Plmn | None = Field(None, description="PLMN of its global gNB id; none means the host's.")
    standalone: bool | None = Field(None, description="Whether its NR cells are standalone; none means the network's.")
    lte_power_unit: PowerUnit | None = Field(
        None, description="Unit in which it takes the power of LTE cells; none means the network's."
    )
    holdover_hours: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="How long its TDD cells may serve without an external time source."
    )
    owner: Identifier | None = Field(None, description="Tenant whose own station it is; none where it is shared.")
    functions: Annotated[tuple[FunctionId, ...], BeforeValidator(words)] = Field(
        (), description="Functions that it is made of; a physical station names none."
    )

    def node_id(self, rat: Rat) -> tuple[int | None, int]:
        """Its eNB or gNB id and that id's length in bits; None if it has no such id."""
        return (self.enb_id, self.enb_id_length) if rat is Rat.LTE else (self.gnb_id, self.gnb_id_length)

    @property
    def rats(self) -> frozenset[Rat]:
        """Radio technologies of its profiles."""
        return frozenset(PROFILE_RATS[profile] for profile in self.profiles)

    @model_validator(mode="after")
    def _identities(self) -> Station:
        if len(set(self.profiles)) != len(self.profiles):
            raise ValueError("a profile is named twice")
        if len(set(self.functions)) != len(self.functions):
            raise ValueError("a function is named twice")
        of_rat = {PROFILE_RATS[profile]: profile for profile in self.profiles}
        if Rat.LTE in of_rat:
            if self.enb_id is None:
                raise ValueError(f"a station with profile {of_rat[Rat.LTE]} needs enb_id")
            if self.enb_id >= 2**self.enb_id_length:
                raise ValueError(f"enb_id {self.enb_id} does not fit into enb_id_length {self.enb_id_length} bits")
        if Rat.NR in of_rat:
            if self.gnb_id is None:
                raise ValueError(f"a station with profile {of_rat[Rat.NR]} needs gnb_id")
            if self.gnb_id >= 2**self.gnb_id_length:
                raise ValueError(f"gnb_id {self.gnb_id} does not fit into gnb_id_length {self.gnb_id_length} bits")
        return self


class Endpoint(Noun):
    """Management endpoint of a station; a file of its own, since laboratory and field have different ones.

    Over SSH (RFC 6242) ``host_key`` identifies the station. Over TLS (RFC 7589) the fingerprint of its ``certificate``
    does, or an ``authority`` that signed a certificate for its address; then ``username`` and ``credential`` are not
    used, and ``client_certificate`` identifies us. A station that calls home (RFC 8071) needs no address, since nobody
    connects to it; the authority's certificate is for its ``certified_name``.
    """

    station: StationId
    address: HostAddress | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 830
    transport: Literal["ssh", "tls"] = "ssh"
    host_key: HostKey | None = None
    certificate: Fingerprint | None = None
    authority: Credential | None = Field(None, description="Name of the certificates of an authority, PEM.")
    client_certificate: Credential | None = Field(
        None, description="Name of our certificate and its private key, PEM, one after the other."
    )
    call_home: bool = False
    username: Username | None = None
    credential: Credential | None = None
    file_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Port of its file server (SFTP, same host key and log-in); none means the network's."
    )
    folder: FolderPath | None = Field(None, description="Folder of its measurement files; none means the network's.")

    @property
    def certified_name(self) -> str:
        """The name for which an authority has to vouch; a station that calls home is named by its id if by no other."""
        return self.address or self.station

    def credentials(self, defaults: ManagementDefaults) -> dict[str, str]:
        """Names of the credentials that a session needs, by field."""
        if self.transport == "ssh":
            return {"credential": self.credential or defaults.credential}
        authority = {"authority": self.authority} if self.authority else {}
        return {"client_certificate": self.client_certificate or defaults.client_certificate, **authority}

    @model_validator(mode="after")
    def _identity(self) -> Endpoint:
        if self.address is None and not self.call_home:
            raise ValueError("address is missing, and the station does not call home")
        if self.transport == "ssh":
            if self.host_key is None:
                raise ValueError("host_key is missing: it identifies a station reached over SSH")
            if self.certificate or self.authority or self.client_certificate:
                raise ValueError("certificate, authority and client_certificate belong to transport tls")
        else:
            if self.host_key is not None:
                raise ValueError("host_key belongs to transport ssh")
            if self.file_port is not None or self.folder is not None:
                raise ValueError("file_port and folder belong to transport ssh: files come by SFTP")
            if self.certificate is None and self.authority is None:
                raise ValueError("certificate or authority is missing: it identifies a station reached over TLS")
        if self.call_home and self.file_port is not None:
            raise ValueError("file_port is for stations that are connected to, not for call_home")
        return self


class Cell(Noun):
    """A cell: its identity, carrier and primary PLMN.

    ``primary_plmn`` forms the global cell identity (ECGI, NCGI), so it is always first among the broadcast PLMNs; only
    ``change-primary-plmn`` changes it. Values that the files leave out stay as they are on air.
    """

    station: StationId
    id: CellId
    rat: Rat
    local_id: Annotated[int, Field(ge=0, le=16383)] = Field(description="cellLocalId: LTE 0..255, NR 0..16383.")
    band: Band
    arfcn_dl: Annotated[int, Field(ge=0, le=3279165)]
    arfcn_ul: Annotated[int, Field(ge=0, le=3279165)]
    bandwidth_mhz: Annotated[float, Field(gt=0, le=100)]
    pci: Annotated[int, Field(ge=0, le=1007)]
    tac: Annotated[int, Field(ge=0, le=16777215)]
    primary_plmn: Plmn
    max_tx_power_dbm: Annotated[float, Field(ge=0, le=60)] | None = Field(
        default=None, description="Most power of all downlink channels together, at the antenna port."
    )
    max_eirp_dbm: Annotated[float, Field(ge=0, le=90)] | None = Field(
        default=None, description="Most equivalent isotropically radiated power (EIRP) that the licence allows."
    )
    antenna_gain_dbi: Annotated[float, Field(ge=-10, le=40)] | None = Field(
        default=None, description="Gain of the antenna, less the loss of its feeder."
    )
    antenna_height_m: Annotated[float, Field(ge=1, le=500)] | None = Field(
        default=None, description="Height of the antenna above ground."
    )
    antenna_azimuth_deg: Annotated[float, Field(ge=0, lt=360)] | None = Field(
        default=None,
        description="Where the antenna points, clockwise from north; none if it points nowhere.",
    )
    antenna_tilt_deg: Annotated[float, Field(ge=-15, le=30)] | None = Field(
        default=None, description="How far it points below the horizon, mechanically and electrically together."
    )
    prach_root: Annotated[int, Field(ge=0, le=837)] | None = Field(
        default=None, description="First logical root sequence of the PRACH preambles."
    )
    prach_zcz: Annotated[int, Field(ge=0, le=15)] | None = Field(
        default=None,
        description="zeroCorrelationZoneConfig: with the root it says which root sequences the cell takes.",
    )
    prach_format: Annotated[str, BeforeValidator(choice)] | None = Field(
        default=None, description="Preamble format: LTE 0 to 4 (none: a long one), NR 0 to 3, A1 to C2."
    )
    scs_khz: Annotated[Literal[15, 30, 60], BeforeValidator(whole_number)] | None = Field(
        default=None, description="NR: subcarrier spacing of the carrier, if it uses one only."
    )
    ssb_arfcn: Annotated[int, Field(ge=0, le=3279165)] | None = Field(
        default=None, description="NR-ARFCN of the cell-defining SSB, on the synchronisation raster."
    )

    @property
    def name(self) -> str:
        """Network-wide name, ``station/cell``."""
        return f"{self.station}/{self.id}"


class OwnCell(Noun):
    """Tracking area and identity of a cell for the PLMNs of one tenant.

    Other tenants share the cell's TAC and identity (TS 32.130 §5.1.5; TS 28.658 ``cellAccessInfoList``, TS 28.541
    ``NROperatorCellDU``). On NR a tenant has one gNB id for all its cells of a station.
    """

    tenant: Identifier
    station: StationId
    cell: CellId
    tac: Annotated[int, Field(ge=0, le=16777215)]
    node_id: Annotated[int, Field(ge=0, lt=2**32)] = Field(description="The tenant's eNB or gNB id.")
    node_id_length: Annotated[int, Field(ge=18, le=32)] = Field(description="Its bits: LTE 18, 20, 21, 28; NR 22..32.")
    local_id: Annotated[int, Field(ge=0, le=16383)] = Field(description="cellLocalId: LTE 0..255, NR 0..16383.")

    @property
    def id(self) -> str:
        """Its id among those of its station."""
        return f"{self.cell}/{self.tenant}"


class Neighbour(Noun):
    """A neighbour relation: users of a cell may be handed over to another one. It holds in one direction.

    From an LTE cell to an NR cell it lets users have both at once (EN-DC), with the LTE cell as the anchor. Minka
    manages the listed relations. Relations that a station made itself (ANR) stay as they are.
    """

    station: StationId
    cell: CellId
    neighbour_station: StationId
    neighbour_cell: CellId
    handover: bool = Field(True, description="isHOAllowed: whether users may be handed over.")

    @property
    def id(self) -> str:
        """Its id among those of its station."""
        return f"{self.cell}/{self.neighbour_station}/{self.neighbour_cell}"


class Router(Noun):
    """The cell-site router of a site; Minka manages it if its host key is known.

    ``uplink`` is the port to the backhaul, ``downlink`` the port to the stations of its site, ``standby`` the port of a
    second backhaul link.
    """

    id: StationId
    site: Identifier
    address: HostAddress
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    platform: Platform = "cisco_ios"
    host_key: HostKey | None = None
    username: Username | None = None
    credential: Credential | None = None
    enable_credential: Credential | None = Field(
        None, description="Name of the secret of enable, where a login does not come privileged."
    )
    uplink: InterfaceName = "GigabitEthernet0/0/0"
    downlink: InterfaceName = "GigabitEthernet0/0/1"
    standby: InterfaceName | None = None
    station_side: InterfaceAddress | None = Field(
        None,
        description="Address towards the stations, the same in each tenant's VRF; "
        "else the first free one of the smallest network that holds them.",
    )
    gateway: IPv4Address | None = Field(None, description="Next hop of its own management traffic over the uplink.")
    standby_gateway: IPv4Address | None = Field(None, description="The same over the standby.")

    def credentials(self, defaults: ManagementDefaults) -> dict[str, str]:
        """Names of the credentials that a session needs, by field."""
        enable = {"enable_credential": self.enable_credential} if self.enable_credential else {}
        return {"credential": self.credential or defaults.credential, **enable}

    @model_validator(mode="after")
    def _ports(self) -> Router:
        ports = [port for port in (self.uplink, self.downlink, self.standby) if port is not None]
        if len(set(ports)) != len(ports):
            raise ValueError("uplink, downlink and standby must be different ports")
        if self.standby_gateway is not None and (self.standby is None or self.gateway is None):
            raise ValueError("standby_gateway needs standby and gateway")
        return self
