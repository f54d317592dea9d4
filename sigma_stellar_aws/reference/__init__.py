"""Tables of facts about AWS, CloudTrail, ATT&CK and ECS, each beside its data."""
