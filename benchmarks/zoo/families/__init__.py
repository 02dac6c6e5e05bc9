"""One module per family of networks; each registers its pairs when it is imported."""
