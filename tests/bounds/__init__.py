"""Much of everything: what is bounded, and what is said."""
