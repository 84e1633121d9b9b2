"""The protocols. They only translate requests and responses."""
