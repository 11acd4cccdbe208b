"""Strongroom: a self-hosted manager for TLS certificates and the secrets beside them."""

__version__ = "0.1.0"
