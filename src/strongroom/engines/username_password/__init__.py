"""A user name with a password, given or generated."""
