"""Marks that reduce the fronts and transports of a test, or skip it on some machines."""

from pathlib import Path

import pytest

# For tests with results that do not depend on the front.
one_front = pytest.mark.parametrize("front", ["python"], indirect=True)
# For tests of `start_any_server` or `any_server` that need no process.
in_memory_only = pytest.mark.parametrize("transport", ["memory"], indirect=True)
# For tests of behaviour that involves the worker processes of the native front.
memory_and_native = pytest.mark.parametrize("transport", ["memory", "native"], indirect=True)

HAS_IPV6 = Path("/proc/net/if_inet6").exists()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
