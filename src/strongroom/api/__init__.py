"""HTTP adapters: they translate; the rules live in the domain."""
