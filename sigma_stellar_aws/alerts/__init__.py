"""Events that match rules, as alerts."""
