"""Tests of the room rule_files."""
