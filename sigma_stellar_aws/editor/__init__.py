"""A language server for rules, and a JSON schema: what an editor shows while a rule is written."""
