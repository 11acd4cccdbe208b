"""Certificates brought in from outside, and keys that wait for one."""
