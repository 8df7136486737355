"""Where images come from: every source opens as a `Dataset`.

Folders, tars, Parquet, object stores, idx files, digits, vectors, FiftyOne.
"""
