"""JSON requests and responses of the REST API."""
