"""pySigma validators."""
