"""What Elastic's rules say of themselves beside their query: tags, integrations, fields, an investigation guide.

The forms of the tags are those of Elastic's own AWS rules.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.formats.converted_rule import ConvertedRule
from sigma_stellar_aws.query import dsl
from sigma_stellar_aws.rule_files.stellar_block import triage

GUIDE_TAG = "Resources: Investigation Guide"

_ALWAYS = ("Domain: Cloud", "Data Source: AWS", "Data Source: Amazon Web Services", "Use Case: Threat Detection")
_SERVICES: Mapping[str, str] = MappingProxyType(
    {
        "cloudtrail": "CloudTrail",
        "config": "Config",
        "ec2": "EC2",
        "ecr": "ECR",
        "ecs": "ECS",
        "eks": "EKS",
        "elasticache": "ElastiCache",
        "elasticfilesystem": "EFS",
        "events": "EventBridge",
        "glue": "Glue",
        "guardduty": "GuardDuty",
        "iam": "IAM",
        "kms": "KMS",
        "lambda": "Lambda",
        "logs": "CloudWatch",
        "monitoring": "CloudWatch",
        "rds": "RDS",
        "redshift": "Redshift",
        "route53": "Route 53",
        "s3": "S3",
        "secretsmanager": "Secrets Manager",
        "securityhub": "Security Hub",
        "ses": "SES",
        "signin": "Sign-In",
        "sns": "SNS",
        "ssm": "SSM",
        "sts": "STS",
        "waf": "WAF",
        "waf-regional": "WAF",
        "wafv2": "WAF",
    }
)
"""Names of services in tags, by the beginning of their ``eventSource``; another one gets no tag."""
_SUFFIX = ".amazonaws.com"
_INTEGRATION_FIELD = "event.action"
"""What Elastic's AWS integration calls ``eventName``."""
_TYPES: Mapping[str, str] = MappingProxyType({"@timestamp": "date", "event.ingested": "date", "source.ip": "ip"})
_KEYWORD = "keyword"


def tags(converted: ConvertedRule, tactics: Sequence[str], *, has_guide: bool) -> list[str]:
    """Return our own tag, Elastic's, and those of the rule as it has them.

    Args:
        converted: the rule.
        tactics: the names of its tactics.
        has_guide: whether it comes with an investigation guide.
    """
    mark, *own = converted.tags
    services = [f"Data Source: AWS {name}" for name in _services(converted)]
    guide = [GUIDE_TAG] if has_guide else []
    return list(dict.fromkeys([mark, *_ALWAYS, *services, *(f"Tactic: {name}" for name in tactics), *guide, *own]))


def related_integrations(converted: ConvertedRule, *, newest: bool) -> list[JsonObject]:
    """Return the integration that fills the fields of a rule, if it is Elastic's; Kibana shows whether it is there.

    Args:
        converted: the rule.
        newest: whether to name the newest major version instead of the oldest that will do: Kibana's editor takes a
            single one.
    """
    if not is_of_integration(converted):
        return []
    return [{"package": "aws", "integration": "cloudtrail", "version": "^7.0.0" if newest else "^2.17.0"}]


def required_fields(converted: ConvertedRule) -> list[JsonObject]:
    """Return the fields that a rule asks for, where they are those of Elastic's integration."""
    if not is_of_integration(converted):
        return []
    names = sorted(set(dsl.fields(converted.clause)))
    return [{"name": name, "type": _TYPES.get(name, _KEYWORD)} for name in names]


def is_of_integration(converted: ConvertedRule) -> bool:
    """Return whether the pipelines give fields the names of Elastic's AWS integration."""
    return converted.names.by_field.get("eventName") == (_INTEGRATION_FIELD,)


def investigation_guide(converted: ConvertedRule) -> str:
    """Return a short guide (Markdown): what a match means, what to do, what is usually harmless; "" without steps.

    Raises:
        RuleBlockError: the steps are not texts.
    """
    rule, steps = converted.rule, triage(converted.rule)
    if not steps:
        return ""
    parts = ["## What it means", rule.description or converted.title, "## Triage and response"]
    parts.append("\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)))
    if rule.falsepositives:
        parts += ["## Usually harmless", "\n".join(f"- {text}" for text in rule.falsepositives)]
    return "\n\n".join(part.strip() for part in parts)


def _services(converted: ConvertedRule) -> list[str]:
    names = set(converted.names.by_field.get("eventSource", ()))
    names |= {name + converted.keyword_suffix for name in names}
    values = [
        value
        for _, field, options in dsl.leaves(converted.clause)
        if field in names
        for value in _texts(options)
        if value.endswith(_SUFFIX)
    ]
    services = [_SERVICES.get(value.removesuffix(_SUFFIX).lower(), "") for value in values]
    return sorted({service for service in services if service})


def _texts(options: Json) -> list[str]:
    found = options if isinstance(options, list) else [options.get("value")] if isinstance(options, dict) else []
    return [value for value in found if isinstance(value, str)]
