"""Images in tars, Parquet files and object stores: storage clients, scan, index cache and
readers."""
