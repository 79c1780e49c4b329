"""Events in files that need not fit in memory: `.npy`, `.npz` and HDF5, one file or many, read a slice at a time."""

from sparse_qonnx.datasets.events import Events, InMemoryEvents, open_events

__all__ = ["Events", "InMemoryEvents", "open_events"]
