#!/bin/sh
# Puts the gate into what Helm rendered: manifests on standard input, manifests on standard output, a report beside them.
# `--post-renderer-args` become arguments of `anteroom inject`; ANTEROOM names the program where it is not on the path.
# Helm 4 swallows what a plugin says on standard error: ANTEROOM_REPORT names a file for the report instead.
if [ -n "${ANTEROOM_REPORT:-}" ]; then
    exec 2>"$ANTEROOM_REPORT"
fi
exec "${ANTEROOM:-anteroom}" inject -f - "$@"
