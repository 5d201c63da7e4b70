"""Settings for all tests. This folder is on the import path, so tests share the modules beside this file."""

from hypothesis import settings

# the same examples everywhere, and no deadline: a shared machine is slow at times
settings.register_profile("cartwheel", derandomize=True, deadline=None)
settings.load_profile("cartwheel")
