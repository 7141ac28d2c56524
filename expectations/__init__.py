"""The dictionary and the domain's rules as Great Expectations suites, and the bridge that judges tables with them."""
