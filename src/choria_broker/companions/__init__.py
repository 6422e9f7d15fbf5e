"""Companions: adapters and the federation broker, each in processes of its own that the broker starts and watches."""
