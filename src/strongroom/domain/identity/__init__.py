"""Users, service IDs, API keys, policies and access groups."""
