"""REST: TensorFlow Serving's HTTP API as an ASGI application."""
