"""SSLConfig files from certificates made for a test."""

import trustme
from google.protobuf import text_format

from tfx_export import wire


def ssl_config(certificate: trustme.LeafCert, client_ca: trustme.CA | None = None) -> str:
    """The text of an SSLConfig; with `client_ca`, clients must show a certificate of it."""
    config = wire.SSLConfig(
        server_key=certificate.private_key_pem.bytes().decode(),
        server_cert="".join(pem.bytes().decode() for pem in certificate.cert_chain_pems),
    )
    if client_ca is not None:
        config.custom_ca = client_ca.cert_pem.bytes().decode()
        config.client_verify = True
    return text_format.MessageToString(config)
