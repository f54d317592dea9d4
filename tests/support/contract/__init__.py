"""Servers that keep the contracts of Kibana and OpenSearch Alerting, for tests; README.md tells how."""

from tests.support.contract.alerting import Alerting, alerting
from tests.support.contract.kibana import Kibana, kibana
from tests.support.contract.server import Part, Request

__all__ = ["Alerting", "Kibana", "Part", "Request", "alerting", "kibana"]
