"""Runs pip as if on the Python and machine that the image is for: pip's own
options choose the files, and leave the environment markers those of this one
(https://github.com/pypa/pip/issues/11664). argv: a file of settings as JSON, then
pip's own. The file may hold passwords; arguments could be read by any user."""

import json
import sys

with open(sys.argv.pop(1), encoding="utf-8") as file:
    settings = json.load(file)

try:
    import pip._vendor.packaging.markers as module

    here = module.default_environment
    module.default_environment = lambda: {**here(), **(settings["markers"] or {})}
except (ImportError, AttributeError):
    print("warning: this pip decides by the markers of this machine", file=sys.stderr)

# Packages that a lock has from one index are looked for there and nowhere else.
indexes = settings.get("indexes") or {}
if indexes:
    from pip._internal.models.search_scope import SearchScope
    from pip._vendor.packaging.utils import canonicalize_name

    everywhere = SearchScope.get_index_urls_locations

    def locations(scope, project_name):
        only = indexes.get(canonicalize_name(project_name))
        if only is None:
            return everywhere(scope, project_name)
        found = []
        for location in only:
            found += [location] if location else everywhere(scope, project_name)
        return found

    SearchScope.get_index_urls_locations = locations

from pip._internal.cli.main import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
