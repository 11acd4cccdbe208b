"""DNS providers, and a look at the DNS as a CA sees it."""
