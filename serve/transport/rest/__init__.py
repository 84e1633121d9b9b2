"""REST: the HTTP API of TensorFlow Serving as an ASGI application."""
