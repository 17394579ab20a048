"""What makes artefacts that are kept: tables of truth, teachers, pictures."""
