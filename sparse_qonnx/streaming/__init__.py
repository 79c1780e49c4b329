"""Running and verifying over events that do not fit in memory: span by span, taken up again, here or on a cluster.

The bytes that come out do not depend on where a span ran, nor on how often the work was interrupted.
"""
