"""The texts of requests that the HTTP layer refuses before the application sees them, the same on both fronts."""

_HEX = "[0-9A-Fa-f]"
# A continuation byte, UTF8-tail in RFC 3629.
_TAIL = "%[89ABab]" + _HEX
# Matches a path whose percent-encoded bytes are UTF-8.
UTF8_PATH = "|".join(
    (
        f"([!-$&-~]|%[0-7]{_HEX}",
        f"%[Cc][2-9A-Fa-f]{_TAIL}|%[Dd]{_HEX}{_TAIL}",
        f"%[Ee]0%[ABab]{_HEX}{_TAIL}|%[Ee][1-9A-Ca-cEeFf]{_TAIL}{_TAIL}|%[Ee][Dd]%[89]{_HEX}{_TAIL}",
        f"%[Ff]0%[9ABab]{_HEX}{_TAIL}{_TAIL}|%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}|%[Ff]4%8{_HEX}{_TAIL}{_TAIL})*",
    )
)

INVALID_HTTP = (
    "Malformed request: this is not valid HTTP/1.1. Check the scheme of the URL (http or https), the first line (as in "
    "POST /v1/models/MODEL:predict HTTP/1.1, with bytes beyond ASCII percent-encoded), the headers, and how the length "
    "of the body is given"
)
NO_HOST = "Malformed request: the Host header is missing"
TWO_HOSTS = "Malformed request: more than one Host header"
INVALID_HOST = "Malformed request: the Host header is not a valid host name"
FRAGMENT = "Malformed request: a path cannot contain a fragment (#...)"
PATH_NOT_UTF8 = "Malformed request: the path is not percent-encoded UTF-8"
TOO_MANY_HEADERS = "The request has too many headers"
TRANSFER_ENCODING = "This Transfer-Encoding is not supported: send Content-Length, or Transfer-Encoding: chunked"


def headers_too_large(max_header_bytes: int) -> str:
    return f"The headers are larger than {max_header_bytes} bytes"


def headers_too_slow(max_idle_seconds: float) -> str:
    return f"The headers did not come within {max_idle_seconds:g} s"
