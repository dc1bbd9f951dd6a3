"""What a network does to images in [0, 1] before its architecture sees them, one file per kind."""
