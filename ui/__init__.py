"""The only code that knows Streamlit: session keys, caches, forms, charts, the map, thumbnails. Pages stay short."""
