"""What can be measured of one audio file, and of songs beside each other; knows nothing of runs, and no torch."""
