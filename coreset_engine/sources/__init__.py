"""Where images come from: folders, tars, Parquet, object stores, idx files, digits, vectors, FiftyOne; each becomes a Dataset."""
