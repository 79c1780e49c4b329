"""Files that are read and written safely, locks, and programs that are run."""
