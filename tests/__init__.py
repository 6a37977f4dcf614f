"""All tests. Run from the root: `python -m pytest`."""
