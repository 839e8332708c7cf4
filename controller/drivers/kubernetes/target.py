"""Targets of functions and pools: the Kubernetes APIs of pools, and the O2 IMS of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from controller.drivers.target import Addressed, DeviceTarget
from controller.models.cloud import Pool
from controller.models.network import Network
from controller.nrm.profiles.function import PROFILE as FUNCTION_PROFILE
from controller.nrm.profiles.pool import PROFILE as POOL_PROFILE
from controller.nrm.profiles.pool import namespace_of


@dataclass(frozen=True, slots=True)
class PoolTarget:
    """How to reach one API of a pool.

    Attributes:
        device: Id of the pool; with a remark where it is another API than that of Kubernetes.
        path: Path below which the API is; empty for all of an address.
        authority: Name of the certificates of the authority that vouches for its certificate.
        certificate: The only certificate accepted, ``sha256:`` and its fingerprint; empty for any that the authority
            vouches for.
        credential: Name of the bearer token; empty where our certificate is enough.
        client_certificate: Name of our certificate and its private key; empty where the token is enough.
    """

    device: str
    address: str
    port: int
    authority: str
    certificate: str = ""
    credential: str = ""
    client_certificate: str = ""
    path: str = ""

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that a session needs."""
        return tuple(filter(None, (self.authority, self.credential, self.client_certificate)))

    @classmethod
    def of(cls, pool: Pool) -> PoolTarget:
        """The target of a pool's API."""
        return cls(
            device=pool.id,
            address=pool.address,
            port=pool.port,
            authority=pool.authority,
            certificate=pool.certificate or "",
            credential=pool.credential or "",
            client_certificate=pool.client_certificate or "",
            path=pool.path or "",
        )

    @classmethod
    def of_ims(cls, pool: Pool) -> PoolTarget | None:
        """The target of a pool's O2 IMS; None if the pool has none."""
        if pool.ims_address is None or pool.ims_credential is None:
            return None
        return cls(
            device=f"{pool.id} (O2 IMS)",
            address=pool.ims_address,
            port=pool.ims_port,
            authority=pool.ims_authority or pool.authority,
            credential=pool.ims_credential,
        )


@dataclass(frozen=True, slots=True)
class KubernetesTarget(DeviceTarget):
    """How to reach a function or a pool.

    Attributes:
        pools: Pools that a function may run on, or the pool itself.
        namespace: Namespace of a function on its pools; empty for a pool.
        ims: The O2 IMS of a pool, if it has one.
    """

    speaks: ClassVar[str] = "Kubernetes"

    pools: tuple[PoolTarget, ...]
    namespace: str = ""
    ims: PoolTarget | None = None

    @property
    def addresses(self) -> tuple[Addressed, ...]:
        """See ``DeviceTarget.addresses``: those of its pools."""
        return self.pools


def function_target(network: Network, function: str) -> KubernetesTarget:
    """The target of a function of the network files, on the pools that it may run on."""
    pools = tuple(PoolTarget.of(network.pool_by_id[pool]) for pool in network.delays.pools_asked[function])
    namespace = namespace_of(network.function_by_id[function].side)
    return KubernetesTarget(function, (FUNCTION_PROFILE,), pools, namespace)


def pool_target(network: Network, pool: str) -> KubernetesTarget:
    """The target of a pool of the network files."""
    row = network.pool_by_id[pool]
    return KubernetesTarget(pool, (POOL_PROFILE,), (PoolTarget.of(row),), ims=PoolTarget.of_ims(row))
