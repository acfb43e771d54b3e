"""What is drawn: charts, grids of images, films, and the look of tables."""
