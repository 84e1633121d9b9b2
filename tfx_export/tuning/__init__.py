"""Find the batching parameters that suit a model, by measuring the real server on this machine."""
