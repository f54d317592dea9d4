"""Stellar Cyber's alert type "Potentially Malicious AWS Activity" as open Sigma.

29 rules, a pySigma pipeline to the platform's flattened CloudTrail schema, a pySigma backend for native
Elasticsearch/OpenSearch queries, and what runs those queries over files and data stores.
"""

__version__ = "0.1.0"
