"""The operator service: the desk where people take conversations over."""
