"""Which models the operator wants served, how healthy they are, and what the worker processes tell each other."""
