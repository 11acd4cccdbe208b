"""Signing keys in hardware security modules, through PKCS#11."""
