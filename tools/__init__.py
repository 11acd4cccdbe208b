"""Programs that build, check and test Strongroom; no part of the product."""
