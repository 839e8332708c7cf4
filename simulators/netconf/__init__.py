"""The NETCONF side of a simulated station: framing, hello, sessions and operations (RFC 6241, RFC 6242)."""
