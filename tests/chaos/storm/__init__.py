"""Everything at once: every fault that a bus must survive, in an order that a seed decides, and what became of it."""
