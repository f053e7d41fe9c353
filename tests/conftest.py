"""Hypothesis profiles: `dev` looks for new failures, `ci` repeats itself, `deep` searches long.

Chosen by `HYPOTHESIS_PROFILE`, otherwise `ci` where `CI` is set and `dev` elsewhere. A failure prints the line that
repeats it.
"""

import os

from hypothesis import settings

settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.register_profile("deep", deadline=None, print_blob=True, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
