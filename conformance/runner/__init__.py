"""Runs trials: which, in which order, on which guests; where the results go; what a verdict means for the run."""
