"""What a run leaves behind: written by one writer, read by anyone."""
