"""Test events and conversions as data, and what makes files of them."""
