"""Tests that can fail: what the code would be with a small mistake in it, and whether any test notices."""
