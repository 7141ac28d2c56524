"""Klantspoor ("the customer's track"): what customers really go through, from the event logs an organisation already has.

The library: journeys in, tables out. It imports neither an orchestrator nor a checker; see docs/architecture.md.
"""
