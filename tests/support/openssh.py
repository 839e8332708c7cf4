"""A real OpenSSH server on a random loopback port, with a host key and one authorised key of its own.

Password logins would need a system account; they are tested against the simulators instead.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from tests.support.ports import free_port
from tests.support.secrets import known


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something answers on the port; fails with the log if the process ends or 20 s pass."""
    for _ in range(400):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"{process.args!r} does not listen on {port}:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class OpenSsh:
    """A running sshd.

    Attributes:
        host_key: Its public host key, as endpoints pin it.
        client_key: Path of the private key that may log in.
        credential: The same by the name that ``tests.support.secrets`` knows it by.
        username: The user that the tests run as, the only one that can log in.
    """

    port: int
    host_key: str
    client_key: Path
    username: str
    log: Path

    @property
    def credential(self) -> str:
        """See the class."""
        return f"key-{self.port}"


def _key_pair(path: Path) -> str:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    return " ".join(key.export_public_key().decode().split()[:2])


@contextlib.contextmanager
def openssh(subsystem: str, port: int | None = None, *, shell: str = "") -> Iterator[OpenSsh]:
    """Run sshd whose subsystem ``netconf`` is this command; a login gets ``shell`` instead of the user's own.

    OpenSSH 10 refuses a quoted command (exit 127), which netconfd's manual page recommends: give it bare.
    """
    port = port or free_port()
    folder = Path(tempfile.mkdtemp(prefix="minka-sshd-"))
    host_key = _key_pair(folder / "host")
    authorised = _key_pair(folder / "client")
    (folder / "authorised").write_text(authorised + "\n")
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorised'}\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        f"MaxStartups 100\nSubsystem netconf {subsystem}\n{f'ForceCommand {shell}' if shell else ''}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", config], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        wait_until_it_listens(port, process, log)
        running = OpenSsh(port, host_key, folder / "client", getpass.getuser(), log)
        with known(running.credential, f"file:{running.client_key}"):
            yield running
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)
