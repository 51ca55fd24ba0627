"""Every release of the published SDKs that PyPI has, each in an environment of its own: `tox -e sdks`."""
