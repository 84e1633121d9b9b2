"""Dynamic batching: concurrent requests for the same signature are run as one."""
