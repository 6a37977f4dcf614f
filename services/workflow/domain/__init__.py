"""What the workflow decides besides flows, without I/O: agents, the assistant, releases, authors' tools."""
