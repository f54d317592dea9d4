"""Puts the rules where people work, as Kibana detection rules or OpenSearch monitors, and keeps what they did there."""
