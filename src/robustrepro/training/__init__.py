"""The one training loop: schedule, checkpoint, resume, history."""
