"""Messages by e-mail and syslog, to a relay and a collector on this machine, in clear and over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from controller.models.errors import MessageRefusedError, MinkaError
from controller.observe.mail import MailRelay
from controller.observe.syslog import Syslog
from controller.ports.clock import SystemClock, VirtualClock

TOLD = {"station": "PE-CUS-0042", "text": "Cell 1 is off:\nñandú"}
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def listening(talk: Talk, certificate: Path | None = None) -> AsyncIterator[int]:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


class Relay:
    """As much of SMTP (RFC 5321) as a client needs."""

    def __init__(self, refuses: str = "") -> None:
        self.commands: list[str] = []
        self.data = b""
        self._refuses = refuses

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay\r\n")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if self._refuses and line.lower().startswith(self._refuses):
                writer.write(b"550 no\r\n")
            elif verb == "EHLO":
                writer.write(b"250-relay\r\n250 AUTH PLAIN\r\n")
            elif verb == "AUTH":
                writer.write(b"235 ok\r\n")
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                self.data = await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
        writer.close()


def mail(url: str, certificate: Path | str = "") -> MailRelay:
    return MailRelay(url, "minka@host.example", ("noc@host.example",), lambda: SecretStr("a-secret"), str(certificate))


async def test_mail(certificate: Path) -> None:
    relay = Relay()
    async with listening(relay.talk) as port:
        await mail(f"smtp://127.0.0.1:{port}").post(TOLD | {"to": ("eva@host.example",)}, "k.1")
    message = message_from_bytes(relay.data)
    assert (message["Subject"], message["To"]) == ("PE-CUS-0042: Cell 1 is off:", "eva@host.example")
    assert message["Message-ID"] == "<k.1@host.example>"
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert "ñandú" in payload.decode()
    assert not [line for line in relay.commands if line.startswith("AUTH")]

    relay = Relay()
    async with listening(relay.talk, certificate) as port:
        await mail(f"smtps://minka@127.0.0.1:{port}", certificate).post(TOLD, "k.2")
        with pytest.raises(MinkaError, match="its certificate is not accepted"):
            await mail(f"smtps://minka@127.0.0.1:{port}").post(TOLD, "k.2")
    assert [line for line in relay.commands if line.startswith("AUTH PLAIN")]


@pytest.mark.parametrize("refused", ["rcpt", "auth", "data"])
async def test_mail_that_is_not_taken_is_reported_without_the_password(refused: str) -> None:
    relay = Relay(refused)
    async with listening(relay.talk) as port:
        post = mail(f"smtp://minka@127.0.0.1:{port}").post(TOLD, "k")
        with pytest.raises(MinkaError, match="the mail relay did not take the message") as error:
            await post
    assert "a-secret" not in repr(error.value.__context__) + str(error.value)
    assert isinstance(error.value, MessageRefusedError) is (refused == "data"), "an address is refused for all messages"


async def test_nobody_to_tell() -> None:
    with pytest.raises(MinkaError, match="MINKA_MAIL_RELAY"):
        await mail("").post(TOLD, "k")
    with pytest.raises(MinkaError, match="MINKA_SYSLOG"):
        await Syslog("", VirtualClock()).post(TOLD, "k")
    async with listening(Relay().talk) as port:
        pass
    with pytest.raises(MinkaError, match="connection refused"):
        await Syslog(f"tcp://127.0.0.1:{port}", VirtualClock()).post(TOLD, "k")


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
async def test_syslog_over_a_stream(scheme: str, certificate: Path) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read())
        writer.close()

    authority = str(certificate) if scheme == "tls" else ""
    async with listening(talk, certificate if scheme == "tls" else None) as port:
        told = {"station": 'a"b]', "text": TOLD["text"]}
        await Syslog(f"{scheme}://127.0.0.1:{port}", VirtualClock(), authority).post(told, "k.1")
        length, _, message = (await asyncio.wait_for(heard.get(), 30)).partition(b" ")
    assert int(length) == len(message)
    text = message.decode()
    assert text.startswith("<133>1 20")
    assert ' minka - notify [minka@32473 station="a\\"b\\]" key="k.1"] \ufeffCell 1 is off: ñandú' in text


async def test_syslog_over_udp() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    class Collector(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.put_nowait(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Collector, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    await Syslog(f"udp://127.0.0.1:{port}", VirtualClock()).post(TOLD, "k")
    assert (await asyncio.wait_for(heard.get(), 30)).startswith(b"<133>1 ")
    transport.close()
