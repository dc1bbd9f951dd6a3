"""Whether a measured robustness is real: attacks on a model, alarms about the attacks, and claims judged again."""
