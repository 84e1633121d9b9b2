"""Where a run executes: on the event loop or on a thread, on how many threads, on which processor."""
