"""The Python client under a name of its own: `from descent_client import Descent`.

It is `service.client`, whose package holds the service too.
"""

from service.client import *  # noqa: F403
from service.client import __all__ as __all__
