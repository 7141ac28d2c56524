"""The command line; its entry point is `klantspoor.cli.main:app`."""
