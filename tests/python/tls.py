"""TLS for tests: a certificate authority, and a listener that takes TLS off and passes the rest on."""

from __future__ import annotations

import datetime
import ipaddress
import pathlib
import socket
import ssl
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificates(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Make an authority and a certificate for 127.0.0.1; return the authority's file, and that of certificate and key."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    def sign(name: x509.Name, public: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.Certificate:
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(address, critical=False)
            .sign(authority_key, hashes.SHA256())
        )

    authority = sign(issuer, authority_key.public_key(), is_authority=True)
    certificate = sign(subject, key.public_key(), is_authority=False)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem) + secret)
    return folder / "authority.pem", folder / "server.pem"


class Tls:
    """Listens with TLS on a free port, and passes what comes on to a plain server."""

    def __init__(self, upstream_url: str, certificate: pathlib.Path) -> None:
        parts = urllib.parse.urlsplit(upstream_url)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address to use."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Tls:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        """Answer with what the server answers. One thread does both ways: HTTP/1.1 takes turns."""
        try:
            with self._context.wrap_socket(plain, server_side=True) as client:
                with socket.create_connection(self._upstream) as server:
                    answers = threading.Thread(target=_pass, args=(server, client), daemon=True)
                    answers.start()
                    _pass(client, server)
                    answers.join()
        except OSError:
            # Whoever hangs up has his reasons, and the test sees them.
            return


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
