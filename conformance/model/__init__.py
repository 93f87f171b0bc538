"""The values that pass between the stages: Trial, Trace, Verdict. Standard library only."""
