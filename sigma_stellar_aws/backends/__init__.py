"""pySigma backends."""
