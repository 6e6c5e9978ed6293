#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command that is go test, and if it failed says at the end once more
# which tests did and in which words: above that may stand a guest's console,
# and a CI that shows the end of its log shows the reason.
#
# usage: test/recap.sh COMMAND [ARGUMENT...]
set -uo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
[ "$status" -eq 0 ] || awk '
	# What follows belongs to this test, with -v before its verdict and without it after.
	/^=== (RUN|NAME|CONT) / { test = $3; more = 0; next }
	/^ *--- (PASS|FAIL|SKIP): / {
		test = $3; more = 0
		if ($2 == "FAIL:" && !(test in failed)) { failed[test]; order[++n] = test }
		next
	}
	/^FAIL[ \t]/ { packages = packages $0 "\n" } # with a reason, if it did not build
	/^(ok|FAIL|\?|PASS|=== PAUSE|make)/ { more = 0; next }
	/^panic: / { panics = panics $0 "\n" }
	# An error and the first lines of what it quotes.
	/^ +[a-z0-9_]+\.go:[0-9]+: / { more = 4 }
	more-- > 0 { sub(/^ +/, "    "); said[test] = said[test] substr($0, 1, 300) "\n" }
	END {
		print "\nWhat failed, in short:"
		for (i = 1; i <= n; i++) print "--- " order[i] "\n" said[order[i]]
		printf "%s", panics packages
	}' "$log"
exit "$status"
