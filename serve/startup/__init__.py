"""Checks before the start, and the overview that the server prints once it has started."""
