"""The commands of `sparse-qonnx`, found by folder; what they work with is imported when they run."""
