"""One search: candidates are asked for, evaluated, ranked, and the best are fully trained."""
