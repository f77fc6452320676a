"""Which session starts where, and why the others wait: a snapshot in, a plan out.

Nothing here does I/O or reads a clock. The same input always gives the same plan.
"""
