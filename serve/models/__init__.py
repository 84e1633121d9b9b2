"""The models to serve, their health, their metrics, and the calls between worker processes."""
