"""Adapters: messages of the Choria protocol become small documents, for streams."""
