"""Tools that make artefacts: tables of true accuracies, teachers, pictures."""
