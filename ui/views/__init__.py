"""Parts of the pages, one module per page or panel."""
