"""Bytes of every kind, thrown at whatever reads bytes: a short run in every test run, a long one by hand."""
