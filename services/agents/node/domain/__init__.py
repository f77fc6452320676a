"""Pure decisions of the node: what a kernel's traces mean and what to do next."""
