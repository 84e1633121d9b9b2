"""What the server needs and prints while it starts."""
