"""From domain objects to plain wire values."""
