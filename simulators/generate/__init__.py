"""The seeded generator of sample networks: real places in, network files out.

``python -m simulators.generate --help`` says how to run it; ``generate`` is the same as a
function. Equal arguments give equal files, byte for byte, on every platform.
"""
