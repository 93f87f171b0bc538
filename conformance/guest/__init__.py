"""The agent inside a guest: receives requests, answers with lines. Standard library only."""
