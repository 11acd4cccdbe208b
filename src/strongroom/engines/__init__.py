"""One package per kind of secret, all of the same shape."""
