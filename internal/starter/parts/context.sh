# shellcheck shell=sh disable=SC2034
#
# The site's own values. ctxagent reads this file as data and hands the
# variables to prolog.sh and epilog.sh; it is never run. Write NAME=value, with
# quotes where there are blanks, and nothing that needs a shell.
