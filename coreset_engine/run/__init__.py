"""Where wings are joined: store, pipeline, jobs, history, command line."""
