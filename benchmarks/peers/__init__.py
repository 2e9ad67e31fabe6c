"""Other systems doing the same work, as their own documentation says to do it."""
