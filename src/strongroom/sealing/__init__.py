"""Encryption at rest, tokens and digests; every adapter that touches key material."""
