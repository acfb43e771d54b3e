"""Settings as data: what a user may ask for, checked once. Imports no torch."""
