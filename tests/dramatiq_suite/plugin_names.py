"""What the runner and the plugin, in two processes, agree on."""

from __future__ import annotations

#: The plugin, as pytest is told it.
PLUGIN = "tests.dramatiq_suite.plugin"

#: The environment variable that says where the private Redis of the run is.
URL_VARIABLE = "DRAMATIQ_SUITE_REDIS"

#: The environment variable that says where the results go.
RESULTS_VARIABLE = "DRAMATIQ_SUITE_RESULTS"
