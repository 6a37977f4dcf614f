"""The desk's pure core: what operators see, and what they may do."""
