"""Performance: measurements, what was judged of them, and statements."""
