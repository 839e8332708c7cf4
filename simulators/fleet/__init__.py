"""A fleet: stations, routers and backhaul of a network."""
