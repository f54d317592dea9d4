"""Read log files from S3, and from stores that speak its language."""
