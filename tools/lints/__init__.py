"""Rules of this project that no general linter knows: one file, one rule, one test each."""
