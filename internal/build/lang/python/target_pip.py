"""Runs pip as if on the Python and machine that the image is for: pip's own
options choose the files, and leave the environment markers those of this one
(https://github.com/pypa/pip/issues/11664). argv: the markers as JSON, then pip's."""

import json
import sys

markers = json.loads(sys.argv.pop(1))
try:
    import pip._vendor.packaging.markers as module

    here = module.default_environment
    module.default_environment = lambda: {**here(), **markers}
except (ImportError, AttributeError):
    print("warning: this pip decides by the markers of this machine", file=sys.stderr)

from pip._internal.cli.main import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
