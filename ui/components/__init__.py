"""Shared widgets: charts, forms, thumbnails, page frame, job strip."""
