"""The user's project directory: its files' models, loading, rules, JSON Schemas, scaffold and key."""
