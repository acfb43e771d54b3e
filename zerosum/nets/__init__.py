"""Networks, as plain modules: they know nothing of games."""
