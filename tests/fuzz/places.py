"""Where a fuzzer keeps its files, so that another process can clean up behind it."""

#: The variable that names the directory of a run.
DIRECTORY = "FUZZ_DIRECTORY"

#: Where in it a Redis lies.
REDIS = "redis"
