"""How well proxies rank, compared with accuracies that are known."""
