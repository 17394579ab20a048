"""One meta-training: everything that makes a teacher."""
