"""SSLConfig files from the certificates of a test."""

import trustme
from google.protobuf import text_format

from tfx_export import wire


def ssl_config(certificate: trustme.LeafCert, client_ca: trustme.CA | None = None) -> str:
    """Returns the text of an SSLConfig. With `client_ca`, clients must present a certificate of that authority."""
    config = wire.SSLConfig(
        server_key=certificate.private_key_pem.bytes().decode(),
        server_cert="".join(pem.bytes().decode() for pem in certificate.cert_chain_pems),
    )
    if client_ca is not None:
        config.custom_ca = client_ca.cert_pem.bytes().decode()
        config.client_verify = True
    return text_format.MessageToString(config)
