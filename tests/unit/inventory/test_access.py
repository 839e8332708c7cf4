"""How devices are reached: only by what the server's settings have, at addresses that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.inventory.access import changed_ways, in_rows
from controller.inventory.credentials import read_credentials
from controller.inventory.load import load_network
from controller.inventory.write import render_network
from controller.models.credentials import Credentials
from controller.models.errors import InputError
from controller.ports.secrets import EnvironmentSecrets
from tests.unit.inventory.files import FILES, changed, problems, write

NAMED = Credentials.model_validate(
    {
        "credentials": {
            "test-password": {"reference": "env:TEST_PASSWORD", "networks": ["127.0.0.0/8", "10.1.0.0/16"]},
            "lab": {"reference": "file:/run/secrets/lab", "networks": ["2001:db8::/32"]},
        }
    }
)
KEY = FILES["endpoints.csv"].splitlines()[1].rpartition(",")[2]
CHOICES = "MINKA_CREDENTIALS has lab, test-password"


def row(address: str, credential: str = "") -> dict[str, str]:
    return {
        "endpoints.csv": f"station,address,port,host_key,credential\nPE-CUS-0001,{address},830,{KEY},{credential}\n"
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            row("192.0.2.1"),
            (
                "endpoints.csv:2: endpoints[PE-CUS-0001].address = '192.0.2.1': outside of the networks of credential "
                "test-password; networks are 127.0.0.0/8, 10.1.0.0/16"
            ),
        ),
        (
            row("10.1.0.1", "lab"),
            (
                "endpoints.csv:2: endpoints[PE-CUS-0001].address = '10.1.0.1': outside of the networks of credential "
                "lab; networks are 2001:db8::/32"
            ),
        ),
        (
            row("127.0.0.1", "laboratory"),
            f"endpoints.csv:2: endpoints[PE-CUS-0001].credential: the server has no such credential; {CHOICES}",
        ),
        (
            changed("network.yaml", "test-password", "other"),
            (
                "endpoints.csv:2: endpoints[PE-CUS-0001].credential: the server has no such credential as "
                f"network.management.credential; {CHOICES}"
            ),
        ),
        (
            {"routers.csv": f"id,site,address,host_key,enable_credential\nRT-1,cusco-1,10.0.0.1,{KEY},lab\n"},
            (
                "routers.csv:2: routers[RT-1].address = '10.0.0.1': outside of the networks of credential "
                "lab; networks are 2001:db8::/32"
            ),
        ),
        (
            {
                "endpoints.csv": "station,address,transport,certificate,authority,client_certificate\n"
                f"PE-CUS-0001,2001:db8::1,tls,sha256:{'0a' * 32},vouching,lab\n"
            },
            f"endpoints.csv:2: endpoints[PE-CUS-0001].authority: the server has no such credential; {CHOICES}",
        ),
    ],
)
def test_what_the_server_does_not_have_is_refused(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    assert said in problems(tmp_path, changes, NAMED)


@pytest.mark.parametrize("rows", [row("10.1.9.9"), row("2001:db8::1", "lab"), row("device.example")])
def test_what_it_has_is_taken(tmp_path: Path, rows: dict[str, str]) -> None:
    """Addresses of routers whose host key is not known are of no matter; names of hosts are looked up later."""
    assert len(load_network(write(tmp_path, rows), credentials=NAMED).endpoints) == 1


CONTACT = "  contacts: [{id: noc, name: NOC, %s}]\n  core:"


@pytest.mark.parametrize(
    ("contact", "said"),
    [
        (
            "webhook: https://noc.example/minka, credential: laboratory",
            f"tenants.yaml:7: tenants[movistar].contacts[0].credential: the server has no such credential; {CHOICES}",
        ),
        (
            "webhook: https://192.0.2.1/minka, credential: lab",
            (
                "tenants.yaml:7: tenants[movistar].contacts[0].webhook = '192.0.2.1': outside of the networks of "
                "credential lab; networks are 2001:db8::/32"
            ),
        ),
        ("webhook: https://noc.example/minka", "credential signs messages to a webhook: give both, or neither"),
        ("email: noc@bitel.example, credential: lab", "credential signs messages to a webhook: give both"),
        ("webhook: http://noc.example/, credential: lab", "An https URL, as in https://noc.bitel.example/minka"),
        ("email: noc", "An e-mail address, as in noc@bitel.example"),
        ("phone: 555", "phone"),
        ("webhook: https://noc.example, credential: lab, email: a@b.example", "a contact has an email or a webhook"),
    ],
)
def test_a_contact_is_told_in_one_way_and_signed_with_what_is_for_it(tmp_path: Path, contact: str, said: str) -> None:
    found = problems(tmp_path, changed("tenants.yaml", "  core:", CONTACT % contact), NAMED)
    assert len(found) == 1
    assert found[0].startswith("tenants.yaml:7: tenants[movistar].contacts[0]")
    assert said in found[0]


def test_contacts_of_host_and_tenants_and_the_way_to_a_site(tmp_path: Path) -> None:
    both = "email: noc@bitel.example}, {id: hook, name: Hook, webhook: 'https://n.example/x', credential: lab"
    head = "  contacts: [{id: desk, name: Desk, email: desk@host.example}]\nregions:"
    network = load_network(
        write(
            tmp_path,
            changed("tenants.yaml", "  core:", CONTACT % both)
            | changed("network.yaml", "regions:", head)
            | {
                "sites.csv": "id,name,region,latitude,longitude,access,power\n"
                'cusco-1,Cusco,cusco,-13.5,-71.9,"4x4, key at the school",mains and 8 h of batteries\n'
                "puno-1,Puno,puno,-15.8,-70.0,,\n"
            },
        ),
        credentials=NAMED,
    )
    assert [one.id for one in network.contacts_of("movistar")] == ["noc", "hook"]
    assert [one.email for one in network.contacts_of("host")] == ["desk@host.example"]
    site = network.site_by_id["cusco-1"]
    assert (site.access, site.power) == ("4x4, key at the school", "mains and 8 h of batteries")
    assert network.site_by_id["puno-1"].access is None
    assert network.contacts_of("bitel") == network.contacts_of("nobody") == ()
    assert load_network(write(tmp_path / "again", render_network(network))) == network


def test_two_contacts_of_a_side_do_not_share_an_id(tmp_path: Path) -> None:
    twice = CONTACT % "email: a@b.example}, {id: noc, name: Other, email: c@b.example"
    assert "two contacts have the same id" in problems(tmp_path, changed("tenants.yaml", "  core:", twice))[0]


def test_ways_that_changed_are_reported(tmp_path: Path) -> None:
    before = load_network(write(tmp_path / "before"))
    after = load_network(write(tmp_path / "after", row("10.1.0.1", "lab")))
    assert changed_ways(None, before) == {
        "PE-CUS-0001": "127.0.0.1:8301 test-password",
        "PE-PUN-0001": "127.0.0.1:8302 test-password",
    }
    assert changed_ways(before, before) == {}
    assert list(in_rows(changed_ways(before, after))) == [
        ({"devices": "PE-CUS-0001 10.1.0.1:830 lab"}, ("PE-CUS-0001",))
    ]
    assert len(list(in_rows({f"S{number}": "way" for number in range(201)}))) == 3


def test_the_file_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "credentials.yaml").write_text(
        "# Who may get what.\ncredentials:\n  device:\n    reference: env:MINKA_DEVICE_PASSWORD\n"
        "    networks: [10.0.0.0/8, 127.0.0.1]\n"
    )
    found = read_credentials(tmp_path / "credentials.yaml", EnvironmentSecrets(tmp_path).check).named("device")
    assert found.reference == "env:MINKA_DEVICE_PASSWORD"
    assert list(map(str, found.networks)) == ["10.0.0.0/8", "127.0.0.1/32"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no 'credentials' key"),
        ("credentials:\n  A B: {reference: 'env:X', networks: [10.0.0.0/8]}\n", "Lower-case letters"),
        ("credentials:\n  a: {reference: hunter2, networks: [10.0.0.0/8]}\n", "env:NAME or file:PATH"),
        ("credentials:\n  a: {reference: 'env:X', networks: [10.0.0.1/8]}\n", r"c.yaml:2: settings.credentials.a"),
        ("credentials:\n  a: {reference: 'env:X', networks: []}\n", "at least one"),
        ("credentials:\n  a:\n    reference: env:MINKA_TOKEN\n    networks: ['::/0']\n", "c.yaml:3: .*Minka's own"),
        ("credentials:\n  a:\n    reference: file:HOME/token\n    networks: ['::/0']\n", "c.yaml:3: .*MINKA_HOME"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text.replace("HOME", str(tmp_path / "home")))
    with pytest.raises(InputError, match=said) as caught:
        read_credentials(tmp_path / "c.yaml", EnvironmentSecrets(tmp_path / "home").check)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith(f"MINKA_CREDENTIALS = '{tmp_path}/c.yaml' can't be used:\n")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_credentials(tmp_path / "c.yaml", EnvironmentSecrets(tmp_path).check)
    assert str(caught.value).startswith(f"MINKA_CREDENTIALS = '{tmp_path}/c.yaml' can't be used:\n")


def _wired(cells: str) -> dict[str, str]:
    """``sites.csv`` whose first site has these external inputs."""
    return {
        "sites.csv": "id,name,region,latitude,longitude,external_inputs\n"
        f"cusco-1,Cusco,cusco,-13.5,-71.9,{cells}\npuno-1,Puno,puno,-15.8,-70.0,\n"
    }


def test_external_inputs_of_a_site_hold_for_its_stations(tmp_path: Path) -> None:
    network = load_network(write(tmp_path, _wired("di-1=mains-lost; input 2=on-battery:closed")))
    wired = network.external_inputs_of("PE-CUS-0001")
    assert [(one.input, one.cause, one.when) for one in wired] == [
        ("di-1", "mains-lost", "open"),
        ("input 2", "on-battery", "closed"),
    ]
    assert network.external_inputs_of("nobody") == ()
    assert load_network(write(tmp_path / "again", render_network(network))) == network


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("di-1", "[0] = 'di-1': must be INPUT=CAUSE or INPUT=CAUSE:closed, as in di-1=mains-lost"),
        ("di-1=mains", "[0].cause = 'mains': not one of the choices; did you mean 'mains-lost'?"),
        ("di-1=mains-lost:up", "[0].when = 'up': not one of the choices; open or closed"),
        ("=mains-lost", "[0].input: too short; at least one character"),
    ],
)
def test_a_wrong_external_input_is_named(tmp_path: Path, cell: str, said: str) -> None:
    assert problems(tmp_path, _wired(cell)) == [f"sites.csv:2: sites[cusco-1].external_inputs{said}"]
