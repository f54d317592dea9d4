"""Tests of the room install."""
