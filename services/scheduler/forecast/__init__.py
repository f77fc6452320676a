"""What would be: the placement package run ahead on copies, pure and without a trace."""
