"""Dynamic batching: merges concurrent requests for the same signature into one run."""
