#!/bin/sh
# Puts the gate into what Helm rendered: manifests on standard input, manifests on standard output, a report beside them.
# `--post-renderer-args` become arguments of `anteroom inject`; ANTEROOM names the program where it is not on the path.
# Helm 4 swallows what a plugin says on standard error: there the report goes to anteroom-report.txt in Helm's cache.
# ANTEROOM_REPORT names another file, for Helm 3 too.
if [ -z "${ANTEROOM_REPORT:-}" ] && [ -n "${HELM_PLUGIN_DIR:-}" ] && mkdir -p "${HELM_CACHE_HOME:-$HELM_PLUGIN_DIR}"; then
    ANTEROOM_REPORT=${HELM_CACHE_HOME:-$HELM_PLUGIN_DIR}/anteroom-report.txt
fi
if [ -n "${ANTEROOM_REPORT:-}" ]; then
    exec 2>"$ANTEROOM_REPORT"
fi
exec "${ANTEROOM:-anteroom}" inject -f - "$@"
