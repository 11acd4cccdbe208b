"""Private certificate authorities: their certificates, what they issued, and what they revoked."""
