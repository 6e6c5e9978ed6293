#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# vulncheck.sh MODULE: run govulncheck, which needs the vulnerability database
# on the network. Where that cannot be reached the check says so and passes: a
# build must not depend on another site being up.
set -uo pipefail
out=$(go run "$1" ./... 2>&1)
status=$?
if [ "$status" -ne 0 ] && grep -qiE 'vulndb|fetching vulnerabilities|no such host|dial tcp|Forbidden|proxyconnect' <<<"$out" && ! grep -q '^Vulnerability #' <<<"$out"; then
	echo "govulncheck: NOT CHECKED, the vulnerability database cannot be reached from here"
	exit 0
fi
printf '%s\n' "$out"
exit "$status"
