"""Makes an authority and a certificate for 127.0.0.1 by it. Runs in the virtual environment that has Keystone (and so `cryptography`).

Argument: the directory for authority.pem, certificate.pem and key.pem.
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

directory = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)


def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def certify(subject, key, issuer, signer, extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


authority = ec.generate_private_key(ec.SECP256R1())
server = ec.generate_private_key(ec.SECP256R1())
address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
(directory / "authority.pem").write_bytes(
    certify("authority", authority, "authority", authority, [(x509.BasicConstraints(True, 0), True)])
)
(directory / "certificate.pem").write_bytes(
    certify("keystone", server, "authority", authority, [(x509.BasicConstraints(False, None), True), (address, False)])
)
(directory / "key.pem").write_bytes(
    server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
)
