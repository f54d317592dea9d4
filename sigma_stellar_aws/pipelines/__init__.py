"""pySigma pipelines."""
