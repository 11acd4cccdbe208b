"""Arbitrary text, such as a token or a file."""
