"""The read models: pure folds of events into documents, and their tables."""
