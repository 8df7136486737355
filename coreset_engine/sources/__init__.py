"""Where images come from: folders, tars, Parquet, object stores, idx files, digits, vectors,
FiftyOne: Datasets."""
