"""Repositories: domain objects in, rows out, and back. Each gets the connection of its unit."""
