"""What happens in a pool beside its API: nodes, pods, the vendor's operator, clean-up, faults."""
