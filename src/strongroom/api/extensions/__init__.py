"""Operations that Strongroom adds to the contract (design, section 12)."""
