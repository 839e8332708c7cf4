"""``python -m simulators``."""

import sys
from importlib.util import find_spec

if find_spec("pyang") is None:
    sys.exit("simulated stations need what production does not install: pip install 'minka[sim]'")

from simulators.cli import main

main()
