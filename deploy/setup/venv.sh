#!/bin/sh
# Makes the virtual environment: venv.sh PYTHON DIRECTORY
set -eu
python="$1"
directory="$2"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "需要 Python 3.11 或更新的版本；用 make PYTHON=/路径/python3.11 指定" >&2
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || sh "$(dirname "$0")/packages.sh" python3-venv
"$python" -m venv "$directory"
