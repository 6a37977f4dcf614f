"""What a flow's author tries, tests, draws and replays: the same decisions, without the log."""
