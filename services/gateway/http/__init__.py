"""What every request passes: the edge, problem answers, bodies, list parameters, documentation."""
