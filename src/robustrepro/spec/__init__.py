"""What is asked for: declarations, their checks, and one resolved spec per job. Imports no torch."""
