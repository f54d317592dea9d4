"""Tests of the room pipelines."""
