"""A fleet: stations, routers and backhaul of a network, and what happens to them."""
