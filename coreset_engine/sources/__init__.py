"""Where images come from: folders, idx files, digits, vectors, FiftyOne; each becomes a Dataset."""
