"""The one training loop: optimisers, checkpoint, resume, history."""
