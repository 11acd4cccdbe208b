"""What the product means: rules and plain data, knowing ports only."""
