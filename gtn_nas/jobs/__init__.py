"""Commands as jobs of a Ray cluster: packed here, run there."""
