"""From a model to tidy per-example measurements; nothing here draws."""
