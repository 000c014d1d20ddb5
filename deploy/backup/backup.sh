#!/bin/sh
# Makes one dated backup and keeps the newest ones: backup.sh DIRECTORY [KEEP]
#
# Settings (SUNLEDGER_…) come from the environment, as for the service; PROGRAM names the program. The
# service may run or not. A backup holds the key of the personal data: keep the directory as safe as the data.
set -eu
directory="$1"
keep="${2:-14}"
umask 077
mkdir -p "$directory"
name="sunledger-$(date -u +%Y%m%dT%H%M%SZ)"
${PROGRAM:-sunledger} backup "$directory/$name"

# Only what this script made and finished is ever removed, the oldest first.
find "$directory" -mindepth 2 -maxdepth 2 -path "$directory/sunledger-*Z/manifest.json" | sort -r |
    tail -n "+$((keep + 1))" | while read -r manifest; do
        rm -rf -- "$(dirname "$manifest")"
    done
