"""Shared small things with no I/O; imports the standard library only."""
