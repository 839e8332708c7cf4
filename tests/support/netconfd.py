"""Debian's netconfd (Yuma123 2.14) behind a real OpenSSH server, with the modules of our stations.

How it behaves, observed here and held by ``tests/integration/device/test_netconfd.py``:

- It has candidate and confirmed-commit:1.1; running is not writable. Constraints are checked at edit-config.
- ``validate`` then ``commit`` answers ok twice, changes nothing and empties the candidate: never validate.
- While running is locked, by any session, it can't take a confirmed commit back: neither the timer nor a cancel
  changes running, and the cancel is answered ok ("restore running config failed (config locked)" in its log).
- Its timers run only after a second without input: a client that polls more often keeps an expired confirmed
  commit alive, and may still confirm it.
- While a confirmed commit is pending, every other session's ``lock`` (candidate and running) is denied with
  ``in-use`` and app-tag ``outstanding-confirmed-commit``, persist or not, and so is a commit without the
  token. Who takes over can't lock; confirm and cancel by persist-id work without.
- Meanwhile anybody may edit the candidate, and a confirming commit takes such edits along.
- A follow-up confirmed commit with persist and persist-id works, and a later cancel goes back to the state
  before the first one.
- A request that reaches it in one read with the client's hello is never answered: ``hello_gap`` stands in between.
- It reads ``min-elements 0`` as 1, in a deviation too, but applies ``mandatory false``.
- It answers for config false leaves only where something provides them: here nothing does.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.drivers.netconf.target import NetconfTarget
from tests.support.hello_gap import hello_gap
from tests.support.openssh import OpenSsh, openssh, stop
from tests.support.ports import free_port

YANG = Path(__file__).parents[2] / "simulators" / "yang"
_MODULES = (
    "_3gpp-common-managed-element",
    "_3gpp-nr-nrm-gnbcucpfunction",
    "_3gpp-nr-nrm-danrmanagementfunction",
    "_3gpp-nr-nrm-gnbcuupfunction",
    "_3gpp-nr-nrm-gnbdufunction",
    "_3gpp-nr-nrm-nrcellcu",
    "_3gpp-nr-nrm-nrcelldu",
    "_3gpp-nr-nrm-nrsectorcarrier",
    "_3gpp-nr-nrm-ep",
    "_3gpp-nr-nrm-eutrancellrelation",
    "_3gpp-nr-nrm-nrcellrelation",
    "_3gpp-nr-nrm-nrfreqrelation",
    "_3gpp-nr-nrm-nrfrequency",
    "_3gpp-nr-nrm-nrnetwork",
    "_3gpp-nr-nrm-eutranetwork",
    "_3gpp-nr-nrm-externalenbfunction",
    "_3gpp-nr-nrm-externaleutrancell",
    "_3gpp-nr-nrm-externalgnbcucpfunction",
    "_3gpp-nr-nrm-externalnrcellcu",
    "_3gpp-nr-nrm-nroperatorcelldu",
    "_3gpp-nr-nrm-rrmpolicy",
    "minka-eutran-nrm",
    "minka-ep-state",
)
_DEVIATIONS = "minka-3gpp-deviations"


@dataclass(frozen=True)
class Netconfd:
    """A running netconfd and the sshd in front of it."""

    ssh: OpenSsh
    log: Path

    def target(self, station: str, profiles: tuple[str, ...] = ("lte-28658", "nr-28541")) -> NetconfTarget:
        """How the controller reaches it; it carries any station, since it starts without configuration."""
        return NetconfTarget(
            device=station,
            address="127.0.0.1",
            port=self.ssh.port,
            host_key=self.ssh.host_key,
            username=self.ssh.username,
            credential=self.ssh.credential,
            profiles=profiles,
        )


@contextlib.contextmanager
def netconfd() -> Iterator[Netconfd]:
    """Run netconfd on a socket of its own, without configuration, as the current user, its superuser."""
    # Not in pytest's folders: their paths are too long for the name of a Unix socket.
    folder = Path(tempfile.mkdtemp(prefix="minka-ncd-"))
    listens, front, log, port = folder / "ncx.sock", folder / "front.sock", folder / "log", free_port()
    command = [
        "/usr/sbin/netconfd",
        *(f"--module={YANG / module}.yang" for module in _MODULES),
        f"--deviation={YANG / _DEVIATIONS}.yang",
        # Its own come first: it has a module notifications, in whose words it subscribes.
        f"--modpath=/usr/share/yuma/modules:{YANG}",
        f"--ncxserver-sockname={listens}",
        f"--port={port}",
        f"--superuser={getpass.getuser()}",
        "--no-startup",
    ]
    with log.open("wb") as output:
        # It keeps its startup configuration below HOME whatever --home says: parallel tests would share it.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    try:
        _wait_for(listens, process, log)
        subsystem = f"/usr/sbin/netconf-subsystem --ncxserver-sockname={port}@{front}"
        with hello_gap(front, listens), openssh(subsystem, port) as ssh:
            yield Netconfd(ssh, log)
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(listens: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if listens.exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"netconfd did not start:\n{log.read_text()}")
