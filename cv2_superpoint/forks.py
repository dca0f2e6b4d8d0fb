"""Children of ``os.fork``, which have none of their parent's threads but wait for them.

Known from when the package is imported, before PyTorch is: a child may be the first to need it.
"""

import os
import sys

without_threads = False
"""Whether this process was forked from one that had loaded PyTorch."""


def _in_child() -> None:
    global without_threads
    if torch := sys.modules.get("torch"):
        without_threads = True
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_child)
