"""What any room may use; knows no AWS, no rules and no server."""
