"""The protocols: translate requests and answers, nothing else."""
