"""Tests of sigma-stellar-aws."""
