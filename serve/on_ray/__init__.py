"""The server on a Ray cluster: the Core in each replica of a Ray Serve deployment, behind Ray's proxies.

Not named `ray`: `application` and `program` import the real one, and nothing else here does.
"""
