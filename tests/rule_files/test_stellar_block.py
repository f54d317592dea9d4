"""What is read from a rule beside its detection."""

from sigma.rule import SigmaRule

from sigma_stellar_aws.formats.elastic_threat import threat
from sigma_stellar_aws.rule_files.stellar_block import tactics, techniques

_RULE = """
title: Tagged
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {a: {eventName: CreateUser}, condition: a}
tags: [attack.T1136.003, attack.Persistence, attack.ds0029, attack.g0016, cve.2021-1]
"""


def test_tags_in_any_case_and_of_other_things() -> None:
    """What alerts, the catalogue and the Navigator read from the tags is what Kibana gets."""
    rule = SigmaRule.from_yaml(_RULE)
    assert (techniques(rule), tactics(rule)) == (["T1136.003"], ["persistence"])
    tree = threat(rule.tags, version=19)
    assert [(item["tactic"], item["technique"]) for item in tree.tree] == [
        (
            {
                "id": "TA0003",
                "name": "Persistence",
                "reference": "https://attack.mitre.org/tactics/TA0003/",
            },
            [
                {
                    "id": "T1136",
                    "name": "Create Account",
                    "reference": "https://attack.mitre.org/techniques/T1136/",
                    "subtechnique": [
                        {
                            "id": "T1136.003",
                            "name": "Cloud Account",
                            "reference": "https://attack.mitre.org/techniques/T1136/003/",
                        }
                    ],
                }
            ],
        )
    ]
    assert tree.left_out == []
