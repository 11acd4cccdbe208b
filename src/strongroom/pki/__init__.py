"""Rules about certificates, keys and signing requests; pure functions over `cryptography`."""
