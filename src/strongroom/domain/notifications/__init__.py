"""Notices: which events there are, when secrets are about to expire, who is told, and what came of it."""
