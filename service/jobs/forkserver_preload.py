"""The first module that the forkserver imports, and nobody else.

It would notice its parent's death, but then take a second to put torch away.
"""

from __future__ import annotations

import sys

from service.jobs.parentage import die_with_parent

if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    die_with_parent()
