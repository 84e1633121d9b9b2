"""Peers: other servers that a user could choose. They run in a separate Python environment (see `make bench`)."""
