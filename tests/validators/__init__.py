"""Tests of the room validators."""
