"""The pytest plugin: with `--fs=...` a run collects the trials of the corpus and nothing else; without it, it does nothing."""
