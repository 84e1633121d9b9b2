"""Peers: what else a user would serve the model with. They run in an environment of their own (`make bench`)."""
