"""How devices are reached: one type of target for each kind of session, made by that kind."""
