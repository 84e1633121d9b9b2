"""`tfx-export tune`: finds the best batching parameters for a model by measuring the real server on this machine."""
