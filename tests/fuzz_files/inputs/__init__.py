"""Hostile inputs other than models, and folders full of surprises around outputs; see `../run.py --inputs`."""
