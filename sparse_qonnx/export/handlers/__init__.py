"""Handlers: one module a family of Keras layers, found by folder."""
