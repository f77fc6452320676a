"""Read models: ordered, exactly once, rebuildable."""
