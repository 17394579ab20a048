"""How well proxies rank, beside accuracies that are known."""
