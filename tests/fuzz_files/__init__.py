"""Hostile model files: valid ones mutated, through every command, in processes that may die. See docs/security.md."""
