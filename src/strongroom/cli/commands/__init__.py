"""The commands, one module per topic; imported only when one of its commands runs."""
