"""Read CloudTrail records from files, and flatten them."""
