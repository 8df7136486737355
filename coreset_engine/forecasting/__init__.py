"""The forecast: what a model trained on a coreset would gain over random, without labels."""
