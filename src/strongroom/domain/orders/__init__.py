"""Public certificates: configured, ordered over ACME, proved over DNS, renewed in time."""
