"""How the next architectures to try are chosen."""
