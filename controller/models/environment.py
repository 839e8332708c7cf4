"""Which environment variables of the name ``MINKA_…`` mean something: any other one is a mistake. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from controller.models.errors import InputError
from controller.models.settings import Settings

_PREFIX = "MINKA_"
#: Variables that are no settings of processes: of the command line, of the simulators' commands, and of the tests.
OTHERS = frozenset(
    {"MINKA_PAGER", "MINKA_SIMULATORS_CONTROL", "MINKA_SOAK", "MINKA_SEED", "MINKA_ROUNDS", "MINKA_REGENERATE"}
)
#: What Kubernetes sets in a pod for each Service of its namespace, after the Service's name.
_OF_SERVICE = r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
_HOST = "_SERVICE_HOST"


def check_environment(environment: Mapping[str, str], references: Iterable[str]) -> None:
    """Check that each variable ``MINKA_…`` means something.

    Args:
        environment: All variables.
        references: References to secrets (``env:NAME``) of settings and credentials.

    Raises:
        InputError: One means nothing; the message names each, and what may have been meant.
    """
    settings = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    secrets = {name for kind, _, name in (one.partition(":") for one in references) if kind == "env"}
    known = settings | OTHERS | secrets
    services = [name.removesuffix(_HOST) for name in environment if name.endswith(_HOST)]
    unknown = [
        name
        for name in sorted(environment)
        if name.upper().startswith(_PREFIX)
        and name.upper() not in settings | OTHERS
        and name not in secrets
        and not _is_of_service(name, services)
    ]
    if unknown:
        raise InputError("; ".join(_mistake(name, known) for name in unknown))


def _is_of_service(name: str, services: Iterable[str]) -> bool:
    return any(
        name.startswith(service) and re.fullmatch(_OF_SERVICE, name.removeprefix(service)) for service in services
    )


def _mistake(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name.upper(), sorted(known), n=1)
    meant = f"did you mean {near[0]}?" if near else "unset it, or give a secret that you refer to another name"
    return f"{name} is no setting of Minka: {meant}"
