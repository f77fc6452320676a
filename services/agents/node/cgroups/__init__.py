"""Limits on groups of processes: control groups version 1 and 2 behind one interface."""
