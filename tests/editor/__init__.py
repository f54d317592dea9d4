"""Tests of the room editor."""
