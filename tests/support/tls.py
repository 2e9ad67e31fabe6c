"""Certificates, and a Redis that speaks TLS with them."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Signed(NamedTuple):
    """A certificate and its key, as files.

    Attributes:
        certificate: Its path.
        key: The path of its key.
    """

    certificate: Path
    key: Path


class Authority:
    """Issues certificates that are believed by whoever believes this.

    Args:
        directory: Where the files are written.
        name: What it is called.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extension = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder(self._name, self._key.public_key()).add_extension(extension, critical=True)
        self.path = directory / f"{name}.pem"
        self._write(self.path, builder.sign(self._key, hashes.SHA256()))

    def issue(self, name: str, *, host: str = "127.0.0.1", is_expired: bool = False, is_own: bool = False) -> Signed:
        """Return a certificate for a host; one that `is_own` is signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        place: x509.GeneralName = x509.DNSName(host)
        if host[0].isdigit():
            place = x509.IPAddress(ipaddress.ip_address(host))
        builder = self._builder(subject, key.public_key(), is_expired=is_expired, is_own=is_own)
        builder = builder.add_extension(x509.SubjectAlternativeName([place]), critical=False)
        paths = Signed(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        self._write(paths.certificate, builder.sign(key if is_own else self._key, hashes.SHA256()))
        paths.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, is_expired: bool = False, is_own: bool = False
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if is_own else self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=-1 if is_expired else 30))
        )

    @staticmethod
    def _write(path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


class TlsRedis:
    """A Redis that speaks TLS only.

    Args:
        binary: The server program.
        directory: Its own.
        authority: Whose clients it believes, where it asks for their certificates.
        own: Its certificate.
        asks: Whether clients have to show one.
    """

    def __init__(self, binary: str, directory: Path, authority: Authority, own: Signed, *, asks: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        directory.mkdir()
        words = [
            binary, "--port", "0", "--tls-port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory),
            "--save", "", "--tls-cert-file", str(own.certificate), "--tls-key-file", str(own.key),
            "--tls-ca-cert-file", str(authority.path), "--tls-auth-clients", "yes" if asks else "no",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
        self.said = self._said_at_start()

    @property
    def speaks_tls(self) -> bool:
        """Whether the program was built with TLS: one that was not ends at once, naming the option."""
        return "Ready to accept connections" in self.said

    def url(self, *, host: str = "127.0.0.1", **options: object) -> str:
        """Return its URL, with options of the query."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://{host}:{self.port}/0" + (f"?{query}" if query else "")

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _said_at_start(self) -> str:
        lines: list[str] = []
        for line in self._process.stdout or ():
            lines.append(line)
            if "Ready to accept connections" in line:
                break
        return "".join(lines)
