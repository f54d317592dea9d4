"""Tools for rule authors: check, test, explain, start and list rules."""
