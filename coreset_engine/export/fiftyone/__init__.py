"""FiftyOne: on-disk export, live database, the App, the plugin and its MongoDB."""
