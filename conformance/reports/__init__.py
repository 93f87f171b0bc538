"""Readers of a run's one stream of events: live progress, the summary at the end, explanations."""
