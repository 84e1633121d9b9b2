"""Layout caches: requests that differ only in their numbers are parsed once.

A client sends the same request again and again with other numbers. A layout is such a request without its numbers: the
bytes around them and what these bytes mean. When a request has a cached layout, only its numbers are read. There are
two layout caches: that of gRPC in serve.codec.predict_request, that of JSON in serve.codec.json.predict_request.
"""

# At most 1,024 keys in each cache, because clients choose the keys. A full cache is emptied.
MAX_LAYOUTS = 1024


class UnsupportedLayoutError(Exception):
    """Raised by a fast reader for a request that it does not read; the next, more general reader does."""
