"""Secret groups."""
