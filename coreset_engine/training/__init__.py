"""The training loop, proxies, networks, training dynamics and difficulty scores."""
