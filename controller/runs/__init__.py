"""The durable run engine: procedures, waves, device transactions, and the loop that drives them."""
