"""What a trained run is for: samples, walks through z, translations."""
