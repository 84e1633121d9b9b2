"""What surrounds every request, whatever its protocol: admission, authentication, deadline, tracing, its record."""
