"""How Quartermaster is installed and run."""
