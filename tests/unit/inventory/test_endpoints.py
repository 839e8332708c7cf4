"""Endpoints over SSH, over TLS, and of stations that call home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.drivers.netconf.target import NetconfTarget
from controller.inventory.load import load_network
from controller.models.errors import NetworkFilesError
from controller.models.network import Endpoint, ManagementDefaults
from tests.unit.inventory.files import problems, write

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe"
PRINT = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"host_key": KEY}, "address is missing, and the station does not call home"),
        ({"address": "a"}, "host_key is missing: it identifies a station reached over SSH"),
        ({"address": "a", "host_key": KEY, "certificate": PRINT}, "belong to transport tls"),
        ({"address": "a", "host_key": KEY, "client_certificate": "c"}, "belong to transport tls"),
        ({"address": "a", "transport": "tls"}, "certificate or authority is missing"),
        ({"address": "a", "transport": "tls", "host_key": KEY, "certificate": PRINT}, "host_key belongs to"),
        ({"transport": "tls", "call_home": True}, "certificate or authority is missing"),
        ({"transport": "tls", "certificate": PRINT}, "address is missing, and the station does not call home"),
        ({"address": "a", "transport": "tls", "certificate": "sha256:0A"}, "should match pattern"),
        ({"address": "a", "transport": "tls", "certificate": PRINT, "folder": "/pm"}, "files come by SFTP"),
        ({"host_key": KEY, "call_home": True, "file_port": 22}, "file_port is for stations that are connected to"),
        ({"address": "a", "host_key": KEY, "folder": "/pm/../etc"}, "should match pattern"),
        ({"address": "a", "host_key": KEY, "folder": "pm"}, "should match pattern"),
        ({"address": "a", "transport": "telnet", "host_key": KEY}, "'ssh' or 'tls'"),
    ],
)
def test_an_endpoint_says_how_its_station_is_known(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Endpoint.model_validate({"station": "A", **fields})


def test_targets_carry_what_their_transport_needs() -> None:
    defaults = ManagementDefaults(client_certificate="ours")
    over_tls = Endpoint(station="A", address="a", transport="tls", certificate=PRINT, authority="vouching")
    assert NetconfTarget.at(over_tls, defaults, ("lte-28658",)) == NetconfTarget(
        *("A", ("lte-28658",), "a", 830, "", "minka", ""),
        transport="tls",
        certificate=PRINT,
        authority="vouching",
        client_certificate="ours",
    )
    caller = Endpoint.model_validate({"station": "A", "host_key": KEY, "call_home": "true"})
    target = NetconfTarget.at(caller, defaults, ())
    assert (target.call_home, target.address) == (True, "")


def test_a_station_that_calls_home_over_tls_is_named_by_its_address_or_else_its_id() -> None:
    defaults = ManagementDefaults(client_certificate="ours")
    fields = {"station": "A", "transport": "tls", "authority": "vouching", "call_home": True}
    for more, name in (({}, "A"), ({"address": "a.example"}, "a.example")):
        target = NetconfTarget.at(Endpoint.model_validate(fields | more), defaults, ())
        assert (target.call_home, target.address, target.authority) == (True, name, "vouching")


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (f",{PRINT},", f",{PRINT},", "the same certificate, by which callers are known, as endpoints[PE-CUS-0001]"),
        (f",{PRINT},ca", f",{PRINT},", "the same certificate, by which callers are known, as endpoints[PE-CUS-0001]"),
        ("PE-PUN-0001,,ca", ",,ca", "the same name in a certificate, by which callers are known,"),
        ("x.example,,ca", "X.EXAMPLE,,other", "the same"),
    ],
)
def test_stations_that_call_home_over_tls_are_told_apart(tmp_path: Path, one: str, other: str, says: str) -> None:
    header = "station,transport,call_home,client_certificate,address,certificate,authority\n"
    rows = f"{header}PE-CUS-0001,tls,true,c,{one}\nPE-PUN-0001,tls,true,c,{other}\n"
    assert any(says in line for line in problems(tmp_path, {"endpoints.csv": rows}))
    apart = f"{header}PE-CUS-0001,tls,true,c,{one}\nPE-PUN-0001,tls,true,c,pun.example,sha256:{'0b' * 32},ca\n"
    load_network(write(tmp_path / "apart", {"endpoints.csv": apart}))


def test_stations_that_call_home_have_keys_of_their_own(tmp_path: Path) -> None:
    rows = f"station,host_key,call_home\nPE-CUS-0001,{KEY},true\nPE-PUN-0001,{KEY},true\n"
    (said,) = problems(tmp_path, {"endpoints.csv": rows})
    assert "the same host key, by which callers are known, as endpoints[PE-CUS-0001]" in said
    assert KEY not in said


def test_routers_of_another_file_replace_those_of_the_directory(tmp_path: Path) -> None:
    directory = write(tmp_path / "network")
    other = tmp_path / "laboratory.csv"
    other.write_text(f"id,site,address,port,host_key\nRT-9,cusco-1,127.0.0.1,2200,{KEY}\n")
    network = load_network(directory, routers=other)
    assert [router.id for router in network.routers] == ["RT-9"]
    assert list(network.router_by_id) == ["RT-9"]


def test_a_file_is_read_beside_those_of_the_directory_and_its_mistakes_are_named(tmp_path: Path) -> None:
    directory = write(tmp_path / "network")
    more = tmp_path / "more.yaml"
    more.write_text("sites:\n- {id: extra, name: Extra, region: cusco, latitude: -13.5, longitude: -71.9}\n")
    known = load_network(directory).site_by_id
    assert load_network(directory, added=[more]).site_by_id.keys() - known.keys() == {"extra"}
    more.write_text("sites:\n- {id: extra, name: Extra, region: nowhere, latitude: -13.5, longitude: -71.9}\n")
    with pytest.raises(NetworkFilesError, match=r"more\.yaml:2: sites\[extra\]\.region"):
        load_network(directory, added=[more])
