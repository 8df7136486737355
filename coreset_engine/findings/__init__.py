"""Findings about a set of images: copies, near-duplicates, outliers, bad exposure, odd shapes."""
