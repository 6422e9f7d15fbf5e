from __future__ import annotations

import hypothesis

# The time limit of each test bounds a run; one slow example on a busy machine is no fault.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")
