"""Who calls home over TLS: known by a certificate alone, and shown ours only then. The other side is ``ssl``."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import crypto
from pydantic import ValidationError

from controller.drivers.certificates import fingerprint
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.tls_callers import Identity, TlsCallers, TlsVisit, _Known, _shown
from controller.models.health import Refusal
from controller.models.settings import Settings
from controller.ports.secrets import FakeSecrets

PEER = "127.0.0.7"
_BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Party:
    """A certificate with its key, and those between it and its root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    between: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def whole(self) -> str:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return self.pem + "".join(one.public_bytes(Encoding.PEM).decode() for one in self.between) + key

    @property
    def pinned(self) -> str:
        return fingerprint(self.certificate.public_bytes(Encoding.DER))


def made(
    name: str,
    issuer: Party | None = None,
    *,
    signs: bool = False,
    hosts: Iterable[str] = (),
    addresses: Iterable[str] = (),
    serial: str = "",
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
    end: datetime.datetime = _END,
) -> Party:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    attributes += [x509.NameAttribute(NameOID.SERIAL_NUMBER, serial)] if serial else []
    subject = x509.Name(attributes)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
    )
    names = [*map(x509.DNSName, hosts), *(x509.IPAddress(ip_address(one)) for one in addresses)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None and not signs:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    between = (
        (issuer.certificate, *issuer.between)
        if issuer and issuer.certificate.issuer != issuer.certificate.subject
        else ()
    )
    return Party(builder.sign((issuer or Party(None, key)).key, hashes.SHA256()), key, between)  # type: ignore[arg-type]


ROOT, OTHER_ROOT = made("root", signs=True), made("other root", signs=True)
MIDDLE = made("middle", ROOT, signs=True)
OURS, OURS_TOO = made("minka", ROOT, usage=None), made("minka-too", ROOT, usage=None)
STATION = made("S-0", ROOT, hosts=["S-0"])
SECRETS = FakeSecrets(
    {
        "ours": OURS.whole,
        "ours-too": OURS_TOO.whole,
        "root": ROOT.pem,
        "other-root": OTHER_ROOT.pem,
        "middle": MIDDLE.pem,
        "noise": "no certificate",
        "certificate-without-key": OURS.pem,
    }
)
#: Known by its authority and its id.
NAMED = NetconfTarget(
    *("S-0", ("lte-28658",), "S-0", 0, "", "", ""),
    transport="tls",
    authority="root",
    client_certificate="ours",
    call_home=True,
)
PINNED = replace(NAMED, authority="", certificate=STATION.pinned)


class Caller:
    """A station that called: the TLS server on the connection that it opened."""

    def __init__(self, party: Party, tmp_path: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.maximum_version = version
        context.load_verify_locations(cadata=ROOT.pem)
        file = tmp_path / "station.pem"
        file.write_text(party.whole)
        context.load_cert_chain(file)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def answer(self, said: bytes) -> bytes:
        self.incoming.write(said)
        with suppress(ssl.SSLError):
            self.tls.do_handshake()
        return self.outgoing.read()

    @property
    def user(self) -> str:
        """Whose certificate it was shown; empty if none."""
        with suppress(ValueError):
            if shown := self.tls.getpeercert(binary_form=True):
                (name,) = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
                return str(name.value)
        return ""


def call(caller: Caller, *targets: NetconfTarget, secrets: FakeSecrets = SECRETS, peer: str = PEER) -> TlsVisit:
    """The visit of a caller, after both sides have said all that they have to say."""
    door = TlsCallers(secrets, 30, 10)
    visit = door.visit({door.expect(one): one for one in targets}, peer)
    _talk(caller, visit)
    return visit


def _talk(caller: Caller, visit: TlsVisit) -> None:
    said = visit.opening
    assert said, "we speak first"
    for _ in range(6):
        visit.feed(caller.answer(said))
        with suppress(ssl.SSLError):
            visit.do_handshake()
        said = visit.taken()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("party", "target"),
    [
        (STATION, PINNED),
        (STATION, NAMED),
        (STATION, replace(NAMED, certificate=STATION.pinned)),
        (made("S-0", hosts=["x"]), None),
        (made("any", ROOT, hosts=["s-0"]), NAMED),
        (made("any", ROOT, hosts=["x"], serial="s-0"), NAMED),
        (made("S-0", ROOT), NAMED),
        (made("any", ROOT, hosts=["gnb.example"]), replace(NAMED, address="GNB.example")),
        (made("any", ROOT, addresses=["2001:db8::7"]), replace(NAMED, address="2001:DB8:0::7")),
        (made("S-0", MIDDLE, hosts=["S-0"]), NAMED),
        (made("S-0", MIDDLE, hosts=["S-0"]), replace(NAMED, authority="middle")),
    ],
    ids=lambda one: "",
)
def test_a_known_station_sees_our_certificate(
    party: Party, target: NetconfTarget | None, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    caller, target = Caller(party, tmp_path, version), target or replace(PINNED, certificate=party.pinned)
    visit = call(caller, target)
    assert (visit.refusal, visit.target) == ("", target)
    assert caller.user == "minka"
    visit.write(memoryview(b"<hello/>"))
    caller.incoming.write(visit.taken())
    assert caller.tls.read(100) == b"<hello/>"


#: One that nobody expects, with the reason.
_UNKNOWN = f"no known station has the certificate {STATION.pinned}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("party", "targets", "says"),
    [
        (STATION, [], "no known station has the certificate sha256:"),
        (STATION, [], "(subject CN=S-0, issuer CN=root); it names no station that calls home by the network files"),
        (STATION, [replace(PINNED, certificate=f"sha256:{'0' * 64}")], "no known station has the certificate"),
        (
            STATION,
            [replace(PINNED, certificate=f"sha256:{'0' * 64}")],
            f"(subject CN=S-0, issuer CN=root); it names S-0, for which the network files pin sha256:{'0' * 64}",
        ),
        (
            made("S-0\n\x1b[31m", ROOT, hosts=["S-0", "S-1"]),
            [NAMED, replace(NAMED, device="S-1", address="S-1")],
            "it names S-0, for which root has to vouch for S-0 alone",
        ),
        (made("S-0", OTHER_ROOT, hosts=["S-0"]), [NAMED], "issuer CN=other root): "),
        (STATION, [replace(NAMED, authority="other-root")], "other-root does not vouch for its certificate"),
        # Another vendor's authority, which vouches for stations of its own.
        (
            made("S-0", OTHER_ROOT, hosts=["S-0"]),
            [NAMED, replace(NAMED, device="S-1", address="S-1", authority="other-root")],
            "root does not vouch for its certificate",
        ),
        (made("S-0", hosts=["S-0"]), [NAMED], "root does not vouch for its certificate"),
        (made("S-0", ROOT, hosts=["S-9"]), [NAMED], "no known station has the certificate"),
        (made("S-0", ROOT, hosts=["*"]), [NAMED], "no known station has the certificate"),
        (
            made("S-0", ROOT, hosts=["S-0"], usage=ExtendedKeyUsageOID.CLIENT_AUTH),
            [NAMED],
            "error 26, unsuitable certificate purpose; root holds CN=root",
        ),
        (
            made("S-0", ROOT, hosts=["S-0"], end=_BEGIN + datetime.timedelta(days=1)),
            [NAMED],
            "certificate has expired",
        ),
        (
            made("S-0", ROOT, hosts=["S-0", "S-1"]),
            [NAMED, replace(NAMED, device="S-1", address="S-1")],
            "no known station has the certificate",
        ),
        (made("x", ROOT, hosts=["S-9"]), [replace(NAMED, certificate="own")], " does not name S-0, but s-9"),
        (STATION, [replace(NAMED, client_certificate="missing")], "S-0: "),
        (STATION, [replace(NAMED, client_certificate="noise")], "noise holds no certificate, or not its key"),
        (STATION, [replace(NAMED, client_certificate="certificate-without-key")], "or not its key"),
        (STATION, [replace(NAMED, authority="noise")], "noise holds no certificate"),
        (STATION, [replace(NAMED, authority="")], "no known station has the certificate"),
        # Names that read like the fingerprint of a station.
        (made("x", serial=STATION.pinned), [PINNED], "no known station has the certificate"),
        (made("x", hosts=[STATION.pinned]), [PINNED], "no known station has the certificate"),
        (made("x", hosts=["S-0"]), [PINNED], "no known station has the certificate"),
        (
            made("S-0", ROOT, hosts=["S-0"], serial=STATION.pinned),
            [replace(NAMED, certificate=STATION.pinned)],
            "no known station has the certificate",
        ),
    ],
    ids=lambda one: "",
)
def test_whoever_else_calls_sees_nothing_of_us(
    party: Party, targets: list[NetconfTarget], says: str, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    targets = [replace(one, certificate=party.pinned) if one.certificate == "own" else one for one in targets]
    caller = Caller(party, tmp_path, version)
    visit = call(caller, *targets)
    assert says in visit.refusal
    assert visit.refusal.isprintable()
    assert visit.kind is not Refusal.BROKE_OFF
    assert caller.user == ""
    with pytest.raises(ssl.SSLError):
        visit._admit() if visit.target is None else visit.do_handshake()


def test_a_bug_of_ours_is_not_counted_as_a_fault_of_the_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def buggy(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr(_Known, "caller", buggy)
    with pytest.raises(TypeError, match="a bug"):
        call(Caller(STATION, tmp_path), PINNED)


def test_a_certificate_whose_names_are_no_texts_is_shown_by_its_fingerprint() -> None:
    """Its common name is a BIT STRING; the parser says so with a TypeError, and only when the name is asked for."""
    whole = made("S-0").certificate.public_bytes(Encoding.DER)
    odd = whole.replace(b"\x55\x04\x03\x0c\x03S-0", b"\x55\x04\x03\x03\x03\x00-0")
    assert odd != whole
    assert _shown(crypto.load_certificate(crypto.FILETYPE_ASN1, odd)) == fingerprint(odd)


def test_a_pin_is_compared_however_the_station_was_found(tmp_path: Path) -> None:
    both = replace(NAMED, certificate=STATION.pinned)
    caller = Caller(made("S-0", ROOT, hosts=["S-0"]), tmp_path)
    door = TlsCallers(SECRETS, 30, 10)
    door.expect(both)
    visit = door.visit({Identity("name", "s-0"): both}, PEER)
    _talk(caller, visit)
    assert f"the network files pin {both.certificate} for S-0" in visit.refusal
    assert caller.user == ""


def _with_key_of(key: rsa.RSAPublicKey) -> Party:
    """A caller with a known name, and an authority with that key in its chain."""
    heavy = made("heavy", ROOT, signs=True)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(heavy.certificate.subject)
        .issuer_name(ROOT.certificate.subject)
        .public_key(key)
        .serial_number(7)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ROOT.key, hashes.SHA256())
    )
    return made("S-0", Party(certificate, heavy.key), hosts=["S-0"])


_N = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n


@pytest.mark.parametrize(
    ("party", "says"),
    [
        (
            made("S-0", ROOT, hosts=["S-0", *(f"S-{index}" for index in range(1, 70))]),
            "it has 70 names, and 64 are read",
        ),
        (made("S-0", ROOT, hosts=["S-0", *(f"{index:060}" for index in range(140))]), "bytes, and 8192 are read"),
        (made("S-0", ROOT, hosts=["S-0", *(f"{index:060}" for index in range(600))]), "more than 32768 bytes before"),
        (
            replace(made("S-0", ROOT, hosts=["S-0"]), between=(ROOT.certificate,) * 5),
            "has 6 certificates, and 5 are read",
        ),
        (_with_key_of(rsa.RSAPublicNumbers((1 << 2000) + 1, _N).public_key()), "a key in its chain is neither"),
        (_with_key_of(rsa.RSAPublicNumbers(65537, (1 << 9000) + 1).public_key()), "a key in its chain is neither"),
    ],
    ids=lambda one: "",
)
def test_a_certificate_that_costs_too_much_is_not_read(party: Party, says: str, tmp_path: Path) -> None:
    caller = Caller(party, tmp_path)
    visit = call(caller, NAMED)
    assert says in visit.refusal
    assert caller.user == ""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("signer", [MIDDLE, made("a", made("b", made("c", signs=True), signs=True), signs=True)])
def test_no_signature_is_checked_for_a_caller_that_nobody_knows(
    signer: Party, version: ssl.TLSVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL reports each certificate after its signature, the first one before: it hears no then."""
    heard: list[bool] = []
    look_at = TlsVisit.look_at

    def counted(visit: TlsVisit, *said: Any, fine: bool) -> bool:
        heard.append(look_at(visit, *said, fine=fine))
        return heard[-1]

    monkeypatch.setattr(TlsVisit, "look_at", counted)
    visit = call(Caller(made("S-9", signer, hosts=["S-9"]), tmp_path, version), NAMED)
    assert "no known station has the certificate" in visit.refusal
    assert heard == [False]


def test_a_caller_outside_of_the_networks_of_our_certificate_does_not_see_it(tmp_path: Path) -> None:
    caller = Caller(STATION, tmp_path)
    visit = call(caller, PINNED, peer="192.0.2.7")
    assert "S-0: " in visit.refusal
    assert caller.user == ""


def test_each_station_sees_the_certificate_that_is_for_it(tmp_path: Path) -> None:
    other = made("S-1", ROOT, hosts=["S-1"])
    known = [PINNED, replace(NAMED, device="S-1", address="S-1", client_certificate="ours-too")]
    for party, user in ((STATION, "minka"), (other, "minka-too")):
        caller = Caller(party, tmp_path)
        assert call(caller, *known).refusal == ""
        assert caller.user == user


def test_an_authority_that_can_not_be_read_hurts_the_stations_of_no_other(tmp_path: Path) -> None:
    broken = replace(NAMED, device="S-1", address="S-1", authority="noise")
    caller = Caller(STATION, tmp_path)
    assert call(caller, broken, NAMED).refusal == ""
    assert caller.user == "minka"


def _flight(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], bytes]:
    folder = tmp_path_factory.mktemp("caller")
    return lambda opening: Caller(STATION, folder, ssl.TLSVersion.TLSv1_2).answer(opening)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4), st.integers(0, 5000), st.data())
def test_whatever_a_caller_sends_is_an_error_of_tls_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, changed: list[tuple[int, int]], cut: int, data: st.DataObject
) -> None:
    door = TlsCallers(SECRETS, 30, 10)
    visit = door.visit({door.expect(NAMED): NAMED}, PEER)
    said = bytearray(_flight(tmp_path_factory)(visit.opening))
    for at, value in changed:
        said[at % len(said)] = value
    noise = data.draw(st.binary(max_size=200)) if cut % 5 == 0 else b""
    for part in (bytes(said[:cut]), noise, bytes(said[cut:])):
        visit.feed(part)
        with suppress(ssl.SSLError):
            visit.do_handshake()
    assert visit.target in (None, NAMED)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_certificate_that_one_reader_takes_and_another_does_not_is_refused(changed: list[tuple[int, int]]) -> None:
    der = bytearray(STATION.certificate.public_bytes(Encoding.DER))
    for at, value in changed:
        der[at % len(der)] = value
    try:
        certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, bytes(der))
    except crypto.Error:
        return
    door = TlsCallers(SECRETS, 30, 10)
    visit = door.visit({door.expect(NAMED): NAMED}, PEER)
    went_on = visit.look_at([certificate], 0, 0, fine=True)
    assert went_on is (not visit.refusal)
    assert not went_on or bytes(der) == STATION.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"call_home": "a:4334", "call_home_tls": "a:4335"}, "each takes 4 ports from the named one on"),
        ({"call_home": "a:4338", "call_home_tls": "b:4335"}, "each takes 4 ports from the named one on"),
        ({"call_home_tls": "a:4335", "workers": 2}, "MINKA_WORKERS must be 1"),
        ({"call_home_tls": "a"}, "should match pattern"),
    ],
)
def test_processes_that_take_calls_have_ports_of_their_own(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate(given)
    assert Settings.model_validate({"call_home": "a:4334", "call_home_tls": "a:4338"}).call_home_tls == "a:4338"
