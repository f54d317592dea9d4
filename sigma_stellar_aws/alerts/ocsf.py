"""Alerts as Detection Findings of the Open Cybersecurity Schema Framework, which Security Lake and others take.

The class and its attributes are those of OCSF 1.5 with the profile cloud (ocsf/ocsf-schema, events/findings/
detection_finding.json and the objects that it names). Times are milliseconds since 1970-01-01 UTC.
"""

import ipaddress
import json
from collections.abc import Iterable, Iterator

from sigma_stellar_aws import __version__
from sigma_stellar_aws.alerts.alert import Alert
from sigma_stellar_aws.alerts.first_event import FirstEvent, actor_name, first_event
from sigma_stellar_aws.alerts.source_location import SourceLocation
from sigma_stellar_aws.base.json_types import Json, JsonObject
from sigma_stellar_aws.reference.attack import attack, tactics_shown
from sigma_stellar_aws.rule_files.suppression import ALERT_TITLE

OCSF_VERSION = "1.5.0"

_CATEGORY, _CLASS, _CREATE = 2, 2004, 1
# Least severity, id and caption there.
_SEVERITIES = ((100, 5, "Critical"), (75, 4, "High"), (50, 3, "Medium"), (25, 2, "Low"), (0, 1, "Informational"))


def ocsf_lines(alerts: Iterable[Alert]) -> Iterator[str]:
    """Write each alert as a line of JSON, in ASCII."""
    return (json.dumps(detection_finding(alert), separators=(",", ":")) + "\n" for alert in alerts)


def detection_finding(alert: Alert) -> JsonObject:
    """Write an alert as a Detection Finding; its time is 0 where its events have none."""
    rule = alert.rule
    event = first_event(alert.event, rule)
    severity_id, severity = next(known[1:] for known in _SEVERITIES if rule.severity >= known[0])
    finding: JsonObject = {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": 100 * _CLASS + _CREATE,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "is_alert": True,
        "time": alert.first or 0,
        "count": alert.events,
        "message": f"{rule.title}: {', '.join(map(actor_name, alert.actors)) or 'actor not known'}",
        "metadata": {
            "version": OCSF_VERSION,
            "profiles": ["cloud"],
            "uid": alert.id,
            "product": {"name": "sigma-stellar-aws", "vendor_name": "sigma-stellar-aws", "version": __version__},
        },
        "cloud": _cloud(alert),
        "finding_info": _finding_info(alert),
        "evidences": [*_evidences(alert, event)],
    }
    if rule.guide.triage:
        finding["remediation"] = {"desc": "\n".join(rule.guide.triage), "references": [*rule.guide.references]}
    if event is not None and event.resource:
        finding["resources"] = [{"uid": event.resource}]
    if alert.failed:
        # What has no attribute there.
        finding["unmapped"] = {"failed_count": alert.failed, "error_codes": [*alert.error_codes]}
    if alert.event:
        finding["raw_data"] = alert.event.decode("utf-8")
    return finding


def _cloud(alert: Alert) -> JsonObject:
    cloud: JsonObject = {"provider": "AWS"}
    if alert.accounts:
        cloud["account"] = {"uid": alert.accounts[0], "type": "AWS Account", "type_id": 10}
    if alert.regions:
        cloud["region"] = alert.regions[0]
    return cloud


def _finding_info(alert: Alert) -> JsonObject:
    rule = alert.rule
    info: JsonObject = {
        "uid": alert.id,
        "title": rule.title,
        "types": [ALERT_TITLE],
        "analytic": {"uid": rule.id, "name": rule.title, "type": "Rule", "type_id": 1},
        "attacks": [*_attacks(alert)],
        "data_sources": ["CloudTrail"],
        "related_events": [{"uid": event_id} for event_id, _ in alert.sample if event_id],
        "related_events_count": alert.events,
    }
    if rule.guide.description:
        info["desc"] = rule.guide.description
    if alert.first is not None:
        info["first_seen_time"] = alert.first
    if alert.last is not None:
        info["last_seen_time"] = alert.last
    return info


def _attacks(alert: Alert) -> Iterator[JsonObject]:
    known = attack()
    covered: set[str] = set()
    for name in alert.rule.techniques:
        technique = known.techniques.get(name)
        if technique is None:
            continue
        for tactic in tactics_shown(technique, alert.rule.tactics):
            covered.add(tactic)
            yield {
                "version": known.version,
                "technique": {"uid": name, "name": technique.name},
                "tactic": {"uid": known.tactics[tactic].id, "name": known.tactics[tactic].name},
            }
    for tactic in alert.rule.tactics:
        if tactic in known.tactics and tactic not in covered:
            stated = known.tactics[tactic]
            yield {"version": known.version, "tactic": {"uid": stated.id, "name": stated.name}}


def _evidences(alert: Alert, event: FirstEvent | None) -> Iterator[JsonObject]:
    """Yield who did it, where from and how: of the first event."""
    evidence: JsonObject = {}
    if alert.actors:
        evidence["actor"] = {"user": {"name": actor_name(alert.actors[0]), "uid": alert.actors[0]}}
    if alert.source_addresses:
        evidence["src_endpoint"] = _endpoint(alert.source_addresses[0], alert.source_locations)
    source, _, name = (alert.event_names[0] if alert.event_names else "").rpartition(" ")
    if event is not None:
        source, name = event.source, event.name
        if event.user_agent:
            evidence["http_request"] = {"user_agent": event.user_agent}
    if name:
        response: Json = (
            {"error": event.error_code, "error_message": event.error_message} if event and event.error_code else {}
        )
        api: JsonObject = {"operation": name, "service": {"name": source}}
        evidence["api"] = {**api, "response": response} if response else api
    if evidence:
        yield evidence


def _endpoint(address: str, locations: Iterable[SourceLocation]) -> JsonObject:
    """Return where a call came from: an address and what is known of it, or a service of AWS."""
    try:
        endpoint: JsonObject = {"ip": str(ipaddress.ip_address(address))}
    except ValueError:
        return {"name": address}
    for known in locations:
        if known.address != address:
            continue
        place = {"country": known.country, "city": known.city}
        if any(place.values()):
            endpoint["location"] = {name: value for name, value in place.items() if value}
        if known.asn is not None:
            named = {"name": known.organization} if known.organization else {}
            endpoint["autonomous_system"] = {"number": known.asn, **named}
    return endpoint
