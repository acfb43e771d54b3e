"""Runs against runs, over their seeds."""
