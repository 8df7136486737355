"""The pipeline that joins the packages: stages, run, selection, manifest, corrections, counts."""
