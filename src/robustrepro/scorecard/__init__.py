"""From tables to a verdict on every claim."""
