"""HTTP routes beside Streamlit: map data, thumbnails, page shell."""
