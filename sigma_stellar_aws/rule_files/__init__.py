"""Sigma rules on disk, and what their ``stellar`` block says."""
