"""How clients find the devices of a fleet: inventories for Minka, Nornir and Ansible.

None of them holds a password: clients have their own ways to keep one.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from simulators.netconf.certificates import Authority
from simulators.network import PoolRecord, RouterRecord


@dataclass(frozen=True, slots=True)
class RouterEndpoint:
    """A row of ``routers.csv``: where a router listens, and the host key it shows there."""

    id: str
    site: str
    address: str
    port: int
    platform: str
    host_key: str


def routers_csv(endpoints: Iterable[RouterEndpoint]) -> str:
    """The endpoints as ``routers.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(RouterEndpoint)])
    writer.writerows(astuple(endpoint) for endpoint in endpoints)
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class PoolEndpoint:
    """Where the API of a pool listens, who signed its certificate (PEM), and a bearer token that it accepts."""

    pool: str
    address: str
    port: int
    authority: str
    token: str

    def kubeconfig(self) -> str:
        """A configuration for ``kubectl``."""
        authority = base64.b64encode(self.authority.encode()).decode()
        cluster = {"server": f"https://{self.address}:{self.port}", "certificate-authority-data": authority}
        return _yaml(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": self.pool, "cluster": cluster}],
                "users": [{"name": "minka", "user": {"token": self.token}}],
                "contexts": [{"name": self.pool, "context": {"cluster": self.pool, "user": "minka"}}],
                "current-context": self.pool,
            }
        )


def as_in_files(_index: int, record: RouterRecord | PoolRecord) -> tuple[str, int]:
    """The address in the network files if it is on this machine, else a free local port."""
    return (record.address, record.port) if record.address.startswith("127.") else ("127.0.0.1", 0)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a station of the fleet listens, and the host key it shows there."""

    station: str
    address: str
    port: int
    host_key: str


@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    """Where a station of the fleet listens for TLS, and the fingerprint of the certificate it shows there."""

    station: str
    address: str
    port: int
    certificate: str


def minka(endpoints: Sequence[Endpoint]) -> str:
    """``endpoints.csv`` of stations over SSH."""
    return _csv([field.name for field in fields(Endpoint)], [asdict(endpoint) for endpoint in endpoints])


def minka_tls(endpoints: Sequence[TlsEndpoint]) -> str:
    """``endpoints.csv`` of stations over TLS."""
    columns = ["station", "address", "port", "transport", "certificate"]
    return _csv(columns, [{**asdict(endpoint), "transport": "tls"} for endpoint in endpoints])


def nornir(endpoints: Sequence[Endpoint], username: str) -> str:
    """``hosts.yaml`` of Nornir's SimpleInventory."""
    return _yaml(
        {
            endpoint.station: {
                "hostname": endpoint.address,
                "port": endpoint.port,
                "username": username,
                "data": {"host_key": endpoint.host_key},
            }
            for endpoint in endpoints
        }
    )


def ansible(endpoints: Sequence[Endpoint], username: str, password_env: str) -> str:
    """An inventory for Ansible's netconf connection (ansible.netcommon)."""
    hosts = {
        endpoint.station: {
            "ansible_host": endpoint.address,
            "ansible_port": endpoint.port,
            "host_key": endpoint.host_key,
        }
        for endpoint in endpoints
    }
    common = {
        "ansible_connection": "ansible.netcommon.netconf",
        "ansible_network_os": "default",
        "ansible_user": username,
        "ansible_password": f"{{{{ lookup('env', '{password_env}') }}}}",
    }
    return _yaml({"all": {"children": {"stations": {"vars": common, "hosts": hosts}}}})


def pools_csv(endpoints: Iterable[PoolEndpoint]) -> str:
    """Where the pools answer, as a file that ``minka network load --pools`` takes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "address", "port"))
    writer.writerows((endpoint.pool, endpoint.address, endpoint.port) for endpoint in endpoints)
    return text.getvalue()


@dataclass(frozen=True, slots=True)
class Exports:
    """The files to write; None for a file that is not wanted.

    Attributes:
        endpoints: ``endpoints.csv`` over SSH.
        tls_endpoints: ``endpoints.csv`` over TLS.
        certificates: Folder for ``authority.pem`` and ``client.pem``, the user's certificate and key.
        nornir: ``hosts.yaml``.
        ansible: An inventory.
        username: User name for the login.
        password_env: Environment variable in which Ansible finds the password.
        routers: ``routers.csv``.
        pools: Where pools answer (CSV).
        kubeconfigs: Folder for a configuration for ``kubectl`` for each pool.
    """

    endpoints: Path | None = None
    tls_endpoints: Path | None = None
    certificates: Path | None = None
    nornir: Path | None = None
    ansible: Path | None = None
    username: str = "minka"
    password_env: str = "MINKA_DEVICE_PASSWORD"  # noqa: S105 (its name, not its value)
    routers: Path | None = None
    pools: Path | None = None
    kubeconfigs: Path | None = None

    def write(
        self,
        ssh: Sequence[Endpoint],
        tls: Sequence[TlsEndpoint],
        seed: str,
        routers: Sequence[RouterEndpoint] = (),
        pools: Sequence[PoolEndpoint] = (),
    ) -> None:
        """Write the files.

        Raises:
            OSError: a file can't be written.
        """
        for path, text in (
            (self.endpoints, minka(ssh)),
            (self.tls_endpoints, minka_tls(tls)),
            (self.routers, routers_csv(routers)),
            (self.pools, pools_csv(pools)),
            (self.nornir, nornir(ssh, self.username) if self.nornir else ""),
            (self.ansible, ansible(ssh, self.username, self.password_env) if self.ansible else ""),
        ):
            if path is not None:
                path.write_text(text, encoding="utf-8", newline="")
        if self.kubeconfigs is not None:
            self.kubeconfigs.mkdir(parents=True, exist_ok=True, mode=0o700)
            for pool in pools:
                (self.kubeconfigs / f"{pool.pool}.yaml").write_text(pool.kubeconfig(), encoding="utf-8")
        if self.certificates is not None:
            self.certificates.mkdir(parents=True, exist_ok=True)
            authority = Authority(seed)
            (self.certificates / "authority.pem").write_text(authority.certificate)
            (self.certificates / "client.pem").touch(mode=0o600)
            (self.certificates / "client.pem").write_text(authority.client(self.username))


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _yaml(content: dict[str, Any]) -> str:
    text: str = yaml.dump(content, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False, width=1000)
    return f"---\n{text}"
