"""Public certificates, ordered from CAs that speak ACME."""
