"""Stellar Cyber's alert type "Potentially Malicious AWS Activity" as open Sigma.

29 rules, a pySigma pipeline to the platform's flattened CloudTrail schema, a pySigma backend for native
Elasticsearch/OpenSearch queries, and what runs those queries over files and data stores.

>>> import sigma_stellar_aws as aws
>>> rules = aws.load_rules()
>>> len(rules.rules), len(aws.convert_each(rules))
(29, 29)
>>> search = aws.alerts_of_files(["tests/samples/export.ndjson"], rules)
>>> print(len(search.alerts), "alerts of", search.events, "events")
8 alerts of 8 events

Errors that users can do something about are :class:`UserError`; those of rules are pySigma's ``SigmaError``.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigma_stellar_aws.alerts.alert import Alert as Alert
    from sigma_stellar_aws.alerts.alert_update import AlertUpdate as AlertUpdate
    from sigma_stellar_aws.alerts.geoip import AddressDatabases as AddressDatabases
    from sigma_stellar_aws.alerts.run import AlertOptions as AlertOptions
    from sigma_stellar_aws.alerts.run import AlertSearch as AlertSearch
    from sigma_stellar_aws.alerts.run import alerts_of_files as alerts_of_files
    from sigma_stellar_aws.alerts.run_store import alerts_of_store as alerts_of_store
    from sigma_stellar_aws.alerts.run_store import update_alert_index as update_alert_index
    from sigma_stellar_aws.authoring.check import CheckReport as CheckReport
    from sigma_stellar_aws.authoring.check import check_rules as check_rules
    from sigma_stellar_aws.backends.convert import convert_all as convert_all
    from sigma_stellar_aws.backends.convert import convert_each as convert_each
    from sigma_stellar_aws.base.errors import UserError as UserError
    from sigma_stellar_aws.logs.flatten import flatten as flatten
    from sigma_stellar_aws.rule_files.load import load_rules as load_rules
    from sigma_stellar_aws.store.client import connect as connect

__version__ = "0.1.0"

# Loaded when they are first used: pySigma and the clients of data stores take a second.
_MODULES = {
    "AddressDatabases": "alerts.geoip",
    "Alert": "alerts.alert",
    "AlertOptions": "alerts.run",
    "AlertSearch": "alerts.run",
    "AlertUpdate": "alerts.alert_update",
    "CheckReport": "authoring.check",
    "UserError": "base.errors",
    "alerts_of_files": "alerts.run",
    "alerts_of_store": "alerts.run_store",
    "check_rules": "authoring.check",
    "connect": "store.client",
    "convert_all": "backends.convert",
    "convert_each": "backends.convert",
    "flatten": "logs.flatten",
    "load_rules": "rule_files.load",
    "update_alert_index": "alerts.run_store",
}

_EXTRAS = {
    "alerts.alert_update": ("store", "opensearchpy"),
    "alerts.geoip": ("geoip", "maxminddb"),
    "alerts.run_store": ("store", "opensearchpy"),
    "store.client": ("store", "opensearchpy"),
}
"""Modules that need an extra: its name, and a package of it."""

__all__ = [
    "AddressDatabases",
    "Alert",
    "AlertOptions",
    "AlertSearch",
    "AlertUpdate",
    "CheckReport",
    "UserError",
    "alerts_of_files",
    "alerts_of_store",
    "check_rules",
    "connect",
    "convert_all",
    "convert_each",
    "flatten",
    "load_rules",
    "update_alert_index",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if not _is_installed(module):
            extra, package = _EXTRAS[module]
            needed = f"{name} needs the package {package}; install it with: pip install 'sigma-stellar-aws[{extra}]'"
            raise ModuleNotFoundError(needed, name=package)
        value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
        return value


def __dir__() -> list[str]:
    # help() looks at all of them, and ends where one cannot be loaded.
    return sorted({*globals(), *(name for name in __all__ if _is_installed(_MODULES[name]))})


def _is_installed(module: str) -> bool:
    return module not in _EXTRAS or find_spec(_EXTRAS[module][1]) is not None
