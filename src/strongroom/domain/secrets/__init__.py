"""Secrets, their versions and locks."""
