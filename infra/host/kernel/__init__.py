"""The kernel: its parameters, modules that are never loaded, no core dumps, what the processor is open to."""
