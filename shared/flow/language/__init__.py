"""What a flow file may say, and what it is once it may run."""
