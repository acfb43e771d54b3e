"""Metrics of quality: they compare sets of images and know nothing of games."""
