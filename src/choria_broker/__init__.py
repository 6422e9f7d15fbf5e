"""The Choria Network Broker in Python: a managed NATS server."""

__version__ = "0.1.0"
