"""Query DSL: built by the types of fields, and evaluated in process."""
