"""The only code that knows Streamlit: session keys, caches, forms, charts, the map, thumbnails.

Pages stay short.
"""

from coreset_engine.core.module_aliases import install
from ui.module_aliases import UI

install("ui", UI)
