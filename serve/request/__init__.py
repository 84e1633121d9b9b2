"""Common to all requests, in both protocols: admission, authentication, deadline, tracing and the call record."""
