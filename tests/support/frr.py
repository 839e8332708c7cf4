"""Debian's FRRouting behind a real OpenSSH server, in a network namespace and a name space of paths of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from controller.drivers.cli.target import CliTarget
from controller.models.network import ManagementDefaults, Router
from tests.support.openssh import OpenSsh, openssh

_DAEMONS = ("mgmtd", "zebra", "staticd")
#: As watchfrr does it: mgmtd is started again when it dies, as it does of some lines that another daemon refuses, and
#: given what is saved, here until it carries that: what it gets before the others have connected is lost at times.
_RESTARTED = """
while :; do
  rm -f {run}/loaded
  while [ -e {run}/away ]; do sleep 0.1; done
  {mgmtd} & pid=$!
  while [ -e {run}/bare ]; do sleep 0.1; done
  while [ -e /proc/$pid/exe ]; do
    vtysh -N {name} -b -d mgmtd && vtysh -N {name} -c "show running-config" > {run}/now &&
      ! grep "^ip route" /etc/frr/{name}/frr.conf | grep -qvxFf {run}/now && touch {run}/loaded && break
    sleep 0.1
  done
  wait $pid
done
"""


@dataclass(frozen=True)
class Frr:
    """A running router.

    Attributes:
        saved: Its saved configuration.
    """

    ssh: OpenSsh
    name: str
    saved: Path

    def target(self, router: str) -> CliTarget:
        """The router as a target."""
        row = Router.model_validate({"id": router, "site": "lima", **self.fields()})
        return CliTarget.of(row, ManagementDefaults())

    def fields(self) -> dict[str, str]:
        """The router as fields of a row of ``routers.csv``."""
        ssh = self.ssh
        at = {"address": "127.0.0.1", "port": str(ssh.port), "host_key": ssh.host_key, "platform": "frr"}
        return {**at, "username": ssh.username, "credential": ssh.credential}

    def type(self, *lines: str) -> str:
        """Type lines outside of Minka, as a foreign edit."""
        return _vtysh(self.name, "configure terminal", *lines)

    def save(self) -> None:
        """Save the running configuration."""
        assert "saved to" in _vtysh(self.name, "write memory")

    @contextlib.contextmanager
    def without_mgmtd(self) -> Iterator[None]:
        """Kill the daemon that holds its configuration, and keep it down."""
        run = Path("/var/run/frr") / self.name
        (run / "away").touch()
        try:
            os.kill(int((run / "mgmtd.pid").read_text()), signal.SIGKILL)
            yield
        finally:
            (run / "away").unlink()
            _wait(self.name)

    @contextlib.contextmanager
    def with_lonely_mgmtd(self) -> Iterator[None]:
        """Start the daemon that holds its configuration anew, which no other one finds."""
        run = Path("/var/run/frr") / self.name
        socket, others = run / "mgmtd_be.sock", [int((run / f"{name}.pid").read_text()) for name in _DAEMONS[1:]]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        socket.unlink()
        os.kill(int((run / "mgmtd.pid").read_text()), signal.SIGKILL)
        _until(socket.exists, "mgmtd does not start")
        hidden = socket.rename(run / "hidden")
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        _until(lambda: _run(self.name), "its daemons do not answer")
        try:
            yield
        finally:
            hidden.rename(socket)
            _wait(self.name)

    @contextlib.contextmanager
    def with_bare_mgmtd(self) -> Iterator[None]:
        """Let watchfrr start the daemon that holds its configuration anew, and not yet give it what is saved."""
        run = Path("/var/run/frr") / self.name
        job = f": %s; rm {run}/away; while [ -e {run}/bare ]; do sleep 0.1; done"
        (run / "bare").touch()
        watchfrr = subprocess.Popen(
            ["/usr/lib/frr/watchfrr", "-N", self.name, "-i", "1", "-r", job, "-s", job, "-k", ": %s", *_DAEMONS],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _until(lambda: _vtysh(self.name, "show watchfrr").count(" Up\n") == len(_DAEMONS), "watchfrr finds none")
            (run / "away").touch()
            os.kill(int((run / "mgmtd.pid").read_text()), signal.SIGKILL)
            _until(lambda: _connected(self.name), "watchfrr does not start mgmtd")
            yield
        finally:
            for name in ("away", "bare"):
                (run / name).unlink(missing_ok=True)
            watchfrr.terminate()
            watchfrr.wait(10)
            _wait(self.name)

    def running(self) -> str:
        """Its running configuration."""
        return _vtysh(self.name, "show running-config")


def _vtysh(name: str, *lines: str) -> str:
    command = ["vtysh", "-N", name, *(word for line in lines for word in ("-c", line))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


@contextlib.contextmanager
def frr() -> Iterator[Frr]:
    """Run FRRouting; needs the right to make a network namespace, which root has."""
    name = f"minka-{uuid4().hex[:8]}"
    config, run = Path("/etc/frr") / name, Path("/var/run/frr") / name
    config.mkdir(parents=True)
    run.mkdir(parents=True)
    (config / "vtysh.conf").write_text("service integrated-vtysh-config\n")
    (config / "frr.conf").write_text("hostname FRR-1\n")
    for path in (config, run, *config.iterdir()):
        shutil.chown(path, "frr", "frr")
    mgmtd, *daemons = (f"/usr/lib/frr/{daemon} -N {name} -u frr -g frr -A 127.0.0.1 -P 0" for daemon in _DAEMONS)
    restarted = _RESTARTED.format(run=run, name=name, mgmtd=mgmtd)
    process = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", f"ip link set lo up; {' & '.join(daemons)} & {restarted}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait(name)
        with openssh("false", shell=f"/usr/bin/vtysh -N {name}") as ssh:
            yield Frr(ssh, name, config / "frr.conf")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        for path in (config, run):
            shutil.rmtree(path, ignore_errors=True)


def _wait(name: str) -> None:
    """Until all daemons answer, and mgmtd knows the others: what is typed before that is lost without a word."""
    _until(lambda: _run(name), "its daemons do not answer")
    _until(lambda: _connected(name), "its daemons don't find each other")
    _until((Path("/var/run/frr") / name / "loaded").exists, "mgmtd is not given what is saved")


def _connected(name: str) -> bool:
    return "Total: 2" in _vtysh(name, "show mgmt backend-adapter all")


def _run(name: str) -> bool:
    return set(_DAEMONS) <= set(_vtysh(name, "show daemons").split())


def _until(condition: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, f"FRRouting: {complaint}"
        time.sleep(0.1)
