"""The Generative Teaching Network (the teacher), its lesson, and its meta-training."""
