"""The forecast: how accurate a model trained on a coreset would be beside random, without labels."""
