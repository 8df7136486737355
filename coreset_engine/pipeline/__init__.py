"""The pipeline that joins the wings: stages, run, selection, manifest, corrections and counts."""
