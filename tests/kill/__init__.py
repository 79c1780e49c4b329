"""Commands killed at any moment, and on disks that fill up: what is on disk is the old or the new, never between."""
