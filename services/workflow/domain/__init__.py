"""What the workflow decides, without I/O: the flow and its checks, and the decisions."""
