"""What a person sees: grids, films and the progress of a training."""
