#!/bin/sh
# Installs the named Debian packages that are missing; says which and how where it may not.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "缺少系统软件包：$missing" >&2
    echo "请由管理员安装：apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "正在安装系统软件包：$missing"
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -q >/dev/null
# shellcheck disable=SC2086
$run apt-get install -y -q --no-install-recommends $missing >/dev/null || {
    echo "系统软件包没有装上：$missing；请检查软件源后再试" >&2
    exit 1
}
