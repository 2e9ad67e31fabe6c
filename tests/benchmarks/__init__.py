"""The measuring itself: what is shown is what was measured."""
