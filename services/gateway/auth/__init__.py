"""Who is calling and what they may do: one Principal, one place that decides."""
