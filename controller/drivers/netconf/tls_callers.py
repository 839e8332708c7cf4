"""Stations that call home over TLS (RFC 8071, RFC 7589), known by their certificates.

The caller is the TLS server, so we speak first. Its certificate comes in the midst of the handshake and says who
called; only then is it known which certificate of ours is for this station, and an unknown caller is shown none. The
``ssl`` module offers no place for that decision, pyOpenSSL does.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from pydantic import SecretStr

from controller.drivers.certificates import fingerprint
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.netconf.tls import Wire
from controller.drivers.netconf.transport import Connection, Transport
from controller.models.errors import AuthenticationError, InputError
from controller.models.health import Refusal
from controller.models.many import first_names
from controller.models.scalars import canonical_host
from controller.ports.secrets import Secrets

T = TypeVar("T")

#: Most contexts that are kept: one for all callers with the same authorities, one for each certificate of ours.
_KEPT = 64
#: Bytes that are taken from OpenSSL at once, and the most that one TLS record carries.
_READ, _RECORD = 64 * 1024, 16 * 1024
#: Errors of certificates that OpenSSL can read and the other parser can't.
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
#: A caller is unknown while all of this costs us processor time, so each of it has a bound.
#: Bytes that a caller may send before it is known; a chain of three certificates has 6 kB.
_HEARD = 32 * 1024
#: Bytes of the caller's own certificate (DER), names in it, and certificates in its chain.
_SIZE, _NAMES, _CHAIN = 8 * 1024, 64, 5
#: Bits of the modulus and of the exponent of an RSA key; a signature is checked in less than 1 ms then.
_MODULUS, _EXPONENT = 8192, 32
#: Letters of a name in a certificate that are repeated, and certificates of an authority that are named.
_LETTERS, _TOLD = 200, 3


@dataclass(frozen=True, slots=True)
class Identity:
    """How a station is known: by the fingerprint of its certificate, or by a name in it.

    The kind keeps both apart, since whoever makes a certificate chooses its names: one may read like a fingerprint.
    """

    kind: Literal["certificate", "name"]
    value: str


class TlsCallers:
    """The door for callers over TLS; implements ``Door``.

    A station is known by the fingerprint that the network files pin, or by the name in a certificate that its authority
    signed. Where they say both, both have to hold.

    Args:
        secrets: Resolves certificates, at each call.
        keepalive: Seconds of silence after which TCP probes a connection.
        patience: Seconds to wait for a reply on the sessions opened.
    """

    we_begin = True

    def __init__(self, secrets: Secrets, keepalive: float, patience: float) -> None:
        self._secrets = secrets
        self._keepalive = max(1, round(keepalive))
        self._patience = patience
        self._authorities: dict[str, None] = {}
        #: Stations by their ids and addresses, to tell who a caller may have meant to be.
        self._meant: dict[str, NetconfTarget] = {}

    def expect(self, target: NetconfTarget) -> Identity:
        """See ``Door.expect``."""
        self._meant |= dict.fromkeys(map(canonical_host, (target.device, target.address)), target)
        if target.authority:
            # It may stay when no station has it any more, since each station is checked by its own.
            self._authorities[target.authority] = None
        return _identity(target)

    def visit(self, expected: Mapping[Hashable, NetconfTarget], peer: str) -> TlsVisit:
        """See ``Door.visit``."""
        known = _Known(expected, self._secrets, peer, self._meant)
        return TlsVisit(known, known.resolved(self._authorities), self._keepalive, self._patience)


class _Known:
    """The stations that may call, with the secrets that one peer may get."""

    def __init__(
        self,
        expected: Mapping[Hashable, NetconfTarget],
        secrets: Secrets,
        peer: str,
        meant: Mapping[str, NetconfTarget] = MappingProxyType({}),
    ) -> None:
        self._expected = expected
        self._secrets = secrets
        self._peer = peer
        self._meant = meant

    def resolved(self, names: Iterable[str]) -> tuple[SecretStr, ...]:
        """The certificates of authorities that vouch for stations in the peer's network, without unreadable ones."""
        found = []
        for name in names:
            with suppress(InputError, crypto.Error):
                authority = self._secrets.resolve(name, self._peer)
                _store(authority)
                found.append(authority)
        return tuple(found)

    def caller(self, certificate: crypto.X509) -> tuple[NetconfTarget | None, str]:
        """The station with a certificate, and the fingerprint: the one that is pinned, else the only one of its names.

        Nothing is verified yet; see ``doubt``.

        Raises:
            ValueError: The certificate can't be read, or is too large.
        """
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        shown = fingerprint(der)
        pinned = self._expected.get(Identity("certificate", shown))
        if pinned is not None:
            return pinned, shown
        if len(der) > _SIZE:
            raise ValueError(f"it has {len(der)} bytes, and {_SIZE} are read")
        named = {}
        for name in _names(certificate):
            one = self._expected.get(Identity("name", name))
            # Nobody vouches for a name but an authority.
            if one is not None and one.authority:
                named[one.device] = one
        (only,) = named.values() if len(named) == 1 else (None,)
        return only, shown

    def named_by(self, certificate: crypto.X509) -> NetconfTarget | None:
        """The expected station whose id or address a certificate names; nobody vouches for that."""
        targets = (self._meant.get(name) for name in sorted(_names(certificate)))
        return next((one for one in targets if one is not None and self._expected.get(_identity(one)) is one), None)

    def authority_of(self, target: NetconfTarget) -> str:
        """The certificates of a station's authority, in words."""
        with suppress(AuthenticationError, *_UNREADABLE):
            return self._of(target, target.authority, _subjects)
        return "nothing that can be read"

    def doubt(self, target: NetconfTarget, leaf: crypto.X509, chain: Sequence[crypto.X509]) -> str:
        """Why the station's own authority does not vouch for its certificate, whoever else does; empty if it does.

        Raises:
            AuthenticationError: The authority is not for the peer's address, or holds no certificate.
        """
        store = self._of(target, target.authority, _store)
        try:
            crypto.X509StoreContext(store, leaf, list(chain)).verify_certificate()
        except crypto.X509StoreContextError as error:
            return str(error)
        return ""

    def ours(self, target: NetconfTarget) -> SSL.Context:
        """A context with the certificate of ours that the station may see.

        Raises:
            AuthenticationError: It is not for the peer's address, or holds no certificate or not its key.
        """
        return self._of(target, target.client_certificate, _ours)

    def _of(self, target: NetconfTarget, name: str, make: Callable[[SecretStr], T]) -> T:
        try:
            return make(self._secrets.resolve(name, self._peer))
        except InputError as error:
            failure = AuthenticationError(f"{target.device}: {error.message}")
        except (SSL.Error, crypto.Error):
            failure = AuthenticationError(f"{target.device}: {name} holds no certificate, or not its key (PEM).")
        raise failure


class TlsVisit:
    """Our side of a call over TLS; implements ``Visit`` and ``controller.drivers.netconf.tls.Side``.

    Args:
        known: Who may call.
        authorities: Certificates (PEM) that vouch for stations.
        keepalive: As of ``TlsCallers``.
        patience: As of ``TlsCallers``.

    Attributes:
        target: The station that called; None until its certificate was seen.
        refusal: Why the caller is refused.
        kind: The same as a code.
        meant: The station whose name an unknown caller shows; empty if it shows none.
        proved: Whether the caller is the target: its certificate holds, and it signed with its private key.
        opening: The beginning of the handshake.
    """

    def __init__(self, known: _Known, authorities: Sequence[SecretStr], keepalive: int, patience: float) -> None:
        self._known = known
        self._keepalive = keepalive
        self._patience = patience
        # Kept, since its certificates are in use while a connection changes to the context with ours.
        self._context = _context(tuple(authorities))
        self._tls = SSL.Connection(self._context)
        self._tls.set_app_data(self)
        self._tls.set_connect_state()
        self._heard = 0
        self.target: NetconfTarget | None = None
        self.refusal = ""
        self.kind = Refusal.BROKE_OFF
        self.meant = ""
        self.proved = False
        with suppress(ssl.SSLWantReadError):
            self.do_handshake()
        self.opening = self.taken()

    async def greet(self, caller: socket.socket) -> tuple[Connection, Transport]:
        """See ``Visit.greet``."""
        wire = Wire(self, self._admit)
        # The connection closes its own copy; this socket is the caller's.
        return wire, await wire.greet(caller.dup(), self._keepalive)

    def _admit(self) -> Transport:
        if self.target is None:
            raise ssl.SSLError(self.refusal or "the caller showed no certificate")
        self.proved = True
        return Transport(self.target.device, self._patience)

    # ----------------------------------------------------------- who calls

    def look_at(self, shown: Sequence[crypto.X509], error: int, depth: int, *, fine: bool) -> bool:
        """Take what OpenSSL says of one certificate, from the root on; the first call says who is meant.

        OpenSSL asks before it checks the first signature, so a caller that nobody knows costs none.

        Args:
            shown: All certificates that the caller showed, its own first.
            error: What is wrong with the certificate, by OpenSSL's number.
            depth: The distance of the certificate from the caller's own.
            fine: Whether nothing is wrong with it.

        Returns:
            Whether the handshake goes on.
        """
        try:
            if self.target is None:
                self._identify(shown)
            if self.target is not None and not self.refusal:
                self._judge(self.target, shown, 0 if fine else error, depth)
        except AuthenticationError as refused:
            self._refuse(Refusal.CREDENTIAL, refused.message)
        except _UNREADABLE as unreadable:
            self._refuse(Refusal.UNREADABLE, f"its certificate {_shown(shown[0])} can't be read: {unreadable}")
        return not self.refusal

    def _refuse(self, kind: Refusal, why: str) -> None:
        self.kind, self.refusal = kind, why

    def _identify(self, shown: Sequence[crypto.X509]) -> None:
        """Find out who is meant; refuse a caller whom nobody knows, or whose chain is not read."""
        target, own = self._known.caller(shown[0])
        if target is None:
            self._refuse(Refusal.UNKNOWN, self._unknown(shown[0]))
            return
        self.target = target
        if target.certificate and target.certificate != own:
            right = f"the network files pin {target.certificate} for {target.device}"
            self._refuse(Refusal.OTHER_CERTIFICATE, f"its certificate {_shown(shown[0])} is another one: {right}")
        elif why := _burden(shown):
            self._refuse(Refusal.COSTLY, why)

    def _unknown(self, certificate: crypto.X509) -> str:
        """Why nobody knows a certificate, and what would be right for the station that it names."""
        said = f"no known station has the certificate {_shown(certificate)}"
        named = self._known.named_by(certificate)
        if named is None:
            return f"{said}; it names no station that calls home by the network files"
        self.meant = named.device
        if named.certificate:
            return f"{said}; it names {named.device}, for which the network files pin {named.certificate}"
        return f"{said}; it names {named.device}, for which {named.authority} has to vouch for {named.address} alone"

    def _judge(self, target: NetconfTarget, shown: Sequence[crypto.X509], error: int, depth: int) -> None:
        """Refuse a caller that is not the station that is meant; else show our certificate from now on."""
        if target.authority and (error or not depth):
            self._doubt(target, shown, error)
        if not (depth or error or self.refusal):
            self._tls.set_context(self._known.ours(target))

    def _doubt(self, target: NetconfTarget, shown: Sequence[crypto.X509], error: int) -> None:
        """Refuse the caller if the authority's word does not count."""
        if canonical_host(target.address) not in (names := _names(shown[0])):
            has = ", ".join(map(_printable, sorted(names)[:_TOLD])) or "nobody"
            why = f"its certificate {_shown(shown[0])} does not name {target.address}, but {has}"
            self._refuse(Refusal.OTHER_NAME, why)
            return
        said = self._known.doubt(target, shown[0], shown[1:]) or (f"error {error}, {_words(error)}" if error else "")
        if said:
            holds = f"{target.authority} holds {self._known.authority_of(target)}"
            why = f"{target.authority} does not vouch for its certificate {_shown(shown[0])}: {said}; {holds}"
            self._refuse(Refusal.NOT_VOUCHED, why)

    # ----------------------------------------------------------- between bytes

    def feed(self, data: bytes) -> None:
        """See ``Side.feed``; a caller that says too much before it is known is not listened to."""
        if self.target is None:
            self._heard += len(data)
            if self._heard > _HEARD:
                self._refuse(Refusal.COSTLY, f"it sent more than {_HEARD} bytes before it was known")
                return
        left = memoryview(data)
        while left:
            left = left[self._tls.bio_write(bytes(left)) :]

    def taken(self) -> bytes:
        """See ``Side.taken``."""
        parts = []
        with suppress(SSL.WantReadError):
            while True:
                parts.append(self._tls.bio_read(_READ))
        return b"".join(parts)

    def do_handshake(self) -> None:
        """See ``Side.do_handshake``."""
        if self.refusal:
            raise ssl.SSLError(self.refusal)
        _asked(self._tls.do_handshake)

    def read(self, most: int) -> bytes:
        """See ``Side.read``."""
        return _asked(lambda: self._tls.recv(most))

    def write(self, data: memoryview) -> int:
        """See ``Side.write``."""
        return _asked(lambda: self._tls.send(bytes(data[:_RECORD])))

    def unwrap(self) -> object:
        """See ``Side.unwrap``."""
        return _asked(self._tls.shutdown)


def _asked(function: Callable[[], T]) -> T:
    """What a function of pyOpenSSL returns, with the errors of ``ssl``."""
    failure: ssl.SSLError
    try:
        return function()
    except SSL.WantReadError:
        failure = ssl.SSLWantReadError()
    except SSL.ZeroReturnError:
        failure = ssl.SSLZeroReturnError()
    except SSL.Error as error:
        failure = ssl.SSLError(_reason(error))
    raise failure


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words: of its first error, or of a call of the system."""
    said = error.args[0] if error.args else ""
    return str(said[0][-1]) if isinstance(said, list) and said else ", ".join(map(str, error.args))


def _identity(target: NetconfTarget) -> Identity:
    """By what a station is known."""
    if target.certificate:
        return Identity("certificate", target.certificate)
    return Identity("name", canonical_host(target.address))


def _words(error: int) -> str:
    """OpenSSL's words for what is wrong with a certificate."""
    openssl = Binding()
    said: bytes = openssl.ffi.string(openssl.lib.X509_verify_cert_error_string(error))
    return said.decode("ascii", "replace")


def _printable(text: str) -> str:
    """A text of a caller, as it may be shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LETTERS])


def _shown(certificate: crypto.X509) -> str:
    """A certificate in words: its fingerprint, and whose it says that it is."""
    own = fingerprint(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate))
    try:
        read = _read(certificate.to_cryptography)
        subject, issuer = _read(lambda: (read.subject.rfc4514_string(), read.issuer.rfc4514_string()))
    except _UNREADABLE:
        return own
    return f"{own} (subject {_printable(subject) or 'empty'}, issuer {_printable(issuer) or 'empty'})"


def _read(parse: Callable[[], T]) -> T:
    """What the parser of certificates makes of one. Its TypeErrors are about the certificate; those of ours are bugs.

    Raises:
        ValueError: It can't be read.
    """
    try:
        return parse()
    except TypeError as error:
        raise ValueError(str(error)) from error


def _names(shown: crypto.X509) -> frozenset[str]:
    """The names in a certificate: of hosts and addresses, and the serial number of the device (IEEE 802.1AR).

    The common name counts only where no host is named, as it does for stations that we connect to.

    Raises:
        ValueError: It can't be read, or has too many names.
    """
    hosts, addresses, subject = _read(lambda: _named(shown.to_cryptography()))
    if (count := len(hosts) + len(addresses) + len(subject)) > _NAMES:
        raise ValueError(f"it has {count} names, and {_NAMES} are read")
    return frozenset(canonical_host(name) for name in (*hosts, *addresses, *subject))


def _named(certificate: x509.Certificate) -> tuple[list[str], list[str], list[str]]:
    """Names of hosts, addresses, and names in the subject that count."""
    try:
        of_san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        of_san = x509.SubjectAlternativeName([])
    hosts = of_san.get_values_for_type(x509.DNSName)
    kinds = (NameOID.SERIAL_NUMBER,) if hosts else (NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME)
    subject = [str(one.value) for kind in kinds for one in certificate.subject.get_attributes_for_oid(kind)]
    return hosts, [str(one) for one in of_san.get_values_for_type(x509.IPAddress)], subject


def _burden(shown: Sequence[crypto.X509]) -> str:
    """Why the chain of a caller costs too much to verify; empty if it does not."""
    if len(shown) > _CHAIN:
        return f"its chain has {len(shown)} certificates, and {_CHAIN} are read"
    if not all(_is_light(one) for one in shown):
        return f"a key in its chain is neither ECDSA, EdDSA nor RSA of at most {_MODULUS} bits with a small exponent"
    return ""


def _is_light(certificate: crypto.X509) -> bool:
    key = _read(lambda: certificate.to_cryptography().public_key())
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size <= _MODULUS and key.public_numbers().e.bit_length() <= _EXPONENT
    return isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _look(connection: SSL.Connection, _certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    visit: TlsVisit = connection.get_app_data()
    # OpenSSL keeps it before it verifies it, and it holds one certificate at least.
    return visit.look_at(connection.get_peer_cert_chain() or (), error, depth, fine=bool(ok))


def _client() -> SSL.Context:
    """What all contexts have in common; a station may neither resume a session nor begin a second handshake."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


@lru_cache(maxsize=_KEPT)
def _context(authorities: tuple[SecretStr, ...]) -> SSL.Context:
    """The context in which calls begin."""
    context = _client()
    context.set_verify(SSL.VERIFY_PEER, _look)
    context.set_verify_depth(_CHAIN)
    store = context.get_cert_store()
    assert store is not None
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for authority in authorities:
        with _file(authority) as path:
            context.load_verify_locations(path)
    return context


@lru_cache(maxsize=_KEPT)
def _ours(certificate: SecretStr) -> SSL.Context:
    """The context that a call goes on in, with a certificate of ours and its private key."""
    context = _client()
    with _file(certificate) as path:
        context.use_certificate_chain_file(path)
        context.use_privatekey_file(path)
    context.check_privatekey()
    return context


@lru_cache(maxsize=_KEPT)
def _store(authority: SecretStr) -> crypto.X509Store:
    """The certificates of one authority."""
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    with _file(authority) as path:
        store.load_locations(path)
    return store


@lru_cache(maxsize=_KEPT)
def _subjects(authority: SecretStr) -> str:
    """The subjects of an authority's certificates, in words."""
    read = x509.load_pem_x509_certificates(authority.get_secret_value().encode())
    subjects = [_printable(one.subject.rfc4514_string()) for one in read]
    return first_names(subjects, _TOLD, "; ")


@contextmanager
def _file(secret: SecretStr) -> Iterator[str]:
    """A secret as a file in memory, since OpenSSL reads chains and keys from files only."""
    with open(os.memfd_create("certificate"), "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
        file.write(secret.get_secret_value().encode())
        yield f"/proc/self/fd/{file.fileno()}"
