"""A data store: reached, asked, filled, described."""
