"""The order of candidates: scores, limits, Pareto fronts, and the choice of the winner."""
