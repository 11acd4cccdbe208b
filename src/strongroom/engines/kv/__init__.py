"""A JSON object of keys and values."""
