"""Operations that the reference service does not have (design, section 12)."""
