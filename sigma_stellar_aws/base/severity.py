"""The scale of severities, 0 to 100, and the bands that people speak of."""

MOST_SEVERE = 100
SEVERITY_BANDS = {"high": 75, "medium": 50, "low": 25, "info": 0}
"""The least severity of each band, the most severe first; those of the table of alerts, and of the page."""
