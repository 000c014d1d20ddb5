#!/bin/sh
# Puts a backup back into an empty data directory and proves it: restore.sh BACKUP DIRECTORY
#
# The service must not run on that directory. PROGRAM names the program.
set -eu
backup="$1"
directory="$2"
umask 077
program="${PROGRAM:-sunledger}"
$program restore "$backup" --data "$directory"
$program migrate --data "$directory"
$program verify --data "$directory"
