"""API v2: the current contract."""
