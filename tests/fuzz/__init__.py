"""Random sparse networks: every implementation must compute what Keras computes, value for value."""
