"""Identities in the shapes of IBM's IAM Identity, Policy Management and Access Groups APIs."""
