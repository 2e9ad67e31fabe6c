"""The values everything else passes along; nothing here does I/O."""
