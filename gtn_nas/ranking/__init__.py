"""The one order of candidates: scores, limits, Pareto fronts, and who wins."""
