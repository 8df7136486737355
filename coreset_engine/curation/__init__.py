"""Find, filter and tag: columns of a run, tags and saved filters of a dataset, similar images."""
