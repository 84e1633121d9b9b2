"""Benchmarks: what the server does in a second, side by side with what it is measured against."""
