"""Mutants that compute the same, by their key; docs/mutation.md gives the reasons."""

EXPLAINED: frozenset[str] = frozenset()
