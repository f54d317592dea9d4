"""CloudTrail records out of files."""
