"""Images in tars, Parquet files and object stores: clients, scan, index cache, readers."""
