"""Places on a disk or in a bucket, and files that appear whole there."""
