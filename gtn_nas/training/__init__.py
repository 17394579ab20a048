"""Full trainings on real data."""
