"""The behaviour of a pool behind its API: nodes, pods, the vendor's operator, clean-up, faults."""
