"""Request and answer models, in the contract's names."""
