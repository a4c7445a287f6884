# SPDX-License-Identifier: GPL-2.0-or-later
"""The certificates of the test's internet: a root that the appliance is told to trust, origins'
certificates under it, and every kind of bad one."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Authority:
    """A certification authority, root or below `parent`."""

    def __init__(self, name, parent=None, *, key=None, start=-DAY, end=3650 * DAY, ca=True,
                 basic=True, path_length=None, key_cert_sign=True, constraints=None):
        self.name, self.parent, self.key = name, parent, key or new_key()
        signer = parent or self
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject(signer.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
        )
        if basic:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), True)
        builder = builder.add_extension(usage(key_cert_sign=key_cert_sign), True)
        if constraints is not None:
            builder = builder.add_extension(constraints, True)
        if parent:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key()), False
            )
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    def chain(self):
        """This certificate and those above it, without the root."""
        return [self.certificate, *self.parent.chain()] if self.parent else []

    def pem(self):
        return pem(self.certificate)

    def issue(self, *names, key=None, start=-DAY, end=60 * DAY, common_name=None, eku=True,
              ca=None, digest=None, critical_unknown=False, alternative=True):
        """A server certificate: (certificate, key)."""
        key = key or new_key()
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject((common_name or names[0])[:64]))
            .issuer_name(subject(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if alternative:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general, names))), False)
        if eku:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH] if eku is True else eku
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
        if critical_unknown:
            unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
            builder = builder.add_extension(unknown, True)
        return builder.sign(self.key, digest or hashes.SHA256()), key


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def usage(key_cert_sign):
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign, encipher_only=False, decipher_only=False,
    )


class Certificates:
    """A directory in the form that the test origin reads: NAME.pem and default.pem."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.root = Authority("Sallyport Test Root")
        self.root_path = os.path.join(directory, "root.crt")
        with open(self.root_path, "wb") as file:
            file.write(self.root.pem())

    def install(self, name, certificate, key, chain=()):
        """What the origin presents to clients that ask for `name`."""
        path = os.path.join(self.directory, name + ".pem")
        with open(path + ".new", "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(pem(certificate) + b"".join(map(pem, chain)) + key_pem(key))
        os.rename(path + ".new", path)

    def good(self, name, *more):
        certificate, key = self.root.issue(name, *more)
        self.install(name, certificate, key)


def bad_certificates(certificates, own_ca=None):
    """Yields (host label, install) for the shapes that no client may accept; install(host) puts
    the certificate of that shape in place for the host. `own_ca`: (certificate, key) of the
    appliance's own CA, whose certificates must be refused on the origin's side too."""
    root = certificates.root

    def shape(label, make):
        def install(host):
            made = make(host)
            certificates.install(host, made[0], made[1], made[2] if len(made) > 2 else ())
        return label, install

    def below(authority):
        return lambda host: (*authority.issue(host), authority.chain())

    same_name = Authority(root.name)
    yield shape("self-signed", lambda host: (lambda a: (a.certificate, a.key))(Authority(host, ca=False, key_cert_sign=False)))
    yield shape("unknown-ca", lambda host: Authority("Nobody Knows Me").issue(host))
    yield shape("same-name-ca", lambda host: same_name.issue(host))
    yield shape("wrong-name", lambda host: root.issue("elsewhere.openai.azure.com"))
    yield shape("parent-domain", lambda host: root.issue(host.split(".", 1)[1]))
    yield shape("only-in-cn", lambda host: root.issue(host, alternative=False))
    yield shape("partial-wildcard", lambda host: root.issue(host[0] + "*." + host.split(".", 1)[1]))
    yield shape("expired", lambda host: root.issue(host, start=-30 * DAY, end=-DAY))
    yield shape("not-yet-valid", lambda host: root.issue(host, start=DAY))
    yield shape("expired-intermediate", below(Authority("Old", root, start=-30 * DAY, end=-DAY)))
    yield shape("not-a-ca", below(Authority("No CA", root, ca=False, key_cert_sign=False)))
    yield shape("no-basic-constraints", below(Authority("No Basic", root, basic=False)))
    yield shape("no-cert-sign", below(Authority("No Sign", root, key_cert_sign=False)))
    short = Authority("Short", root, path_length=0)
    yield shape("path-length", below(Authority("Too Deep", short)))
    yield shape("client-only", lambda host: root.issue(host, eku=[ExtendedKeyUsageOID.CLIENT_AUTH]))
    yield shape("no-eku", lambda host: root.issue(host, eku=False))
    yield shape("ca-leaf", lambda host: root.issue(host, ca=True))
    yield shape("critical-unknown", lambda host: root.issue(host, critical_unknown=True))
    excluded = x509.NameConstraints(None, [x509.DNSName("openai.azure.com")])
    yield shape("name-constraints", below(Authority("Constrained", root, constraints=excluded)))
    yield shape("rsa-1024", lambda host: root.issue(host, key=rsa.generate_private_key(65537, 1024)))
    yield shape("sha1", lambda host: root.issue(host, digest=hashes.SHA1()))
    if own_ca:
        own = Authority.__new__(Authority)
        own.name = own_ca[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        own.parent, own.key, own.certificate = None, own_ca[1], own_ca[0]

        def from_own_ca(host):
            key = new_key()
            now = datetime.datetime.utcnow()
            certificate = (
                x509.CertificateBuilder()
                .subject_name(subject(host)).issuer_name(own.certificate.subject)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
                .sign(own.key, hashes.SHA256())
            )
            return certificate, key, [own.certificate]

        yield shape("own-ca", from_own_ca)
