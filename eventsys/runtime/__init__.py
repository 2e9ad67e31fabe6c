"""Assembling a process: embedded Redis, worker start, discovery."""
