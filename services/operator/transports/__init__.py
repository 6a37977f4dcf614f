"""The operator service's doors: its HTTP API with live events, and the console's pages."""
