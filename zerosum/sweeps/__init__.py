"""Sweeps: many trainings of one recipe, each with settings that optuna chooses by the others."""
