"""What watches a training: it shows, draws, measures, and changes nothing."""
