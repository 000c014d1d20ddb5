#!/bin/sh
# Builds the server of InfluxDB 2 from its Go module and the Rust library inside it, for `make test-influx`.
#
# Debian has no InfluxDB 2. The Go module registry has its source, and the registry of Rust what the Flux language in it
# needs; nothing else is fetched. Everything is kept outside the tree, so that a second run only says where the
# program is. The web interface is left out: the tests speak to the API.
#
#   sh deploy/setup/influxd.sh        builds if needed, and prints the path of influxd
set -eu

VERSION=v2.7.12
MODULE=github.com/influxdata/influxdb/v2
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/sunledger/influxd"
TARGET="$CACHE/$VERSION"
TAGS=sqlite_foreign_keys,sqlite_json

if [ -x "$TARGET/influxd" ]; then
    echo "$TARGET/influxd"
    exit 0
fi

PATH="$PATH:/usr/local/go/bin:$HOME/go/bin:$HOME/.cargo/bin"
export PATH
for program in go cargo cc pkg-config; do
    command -v "$program" >/dev/null || {
        echo "编译 influxd 需要 $program：安装 Go（1.23 以上）、Rust、gcc 和 pkg-config，或把 SUNLEDGER_TEST_INFLUXDB_URL 指向一个 InfluxDB 2 服务" >&2
        exit 1
    }
done

echo "正在编译 InfluxDB $VERSION（约 10 到 30 分钟，只做一次）..." >&2
mkdir -p "$TARGET"
SOURCE="$TARGET/source"
if [ ! -f "$SOURCE/go.mod" ]; then
    rm -rf "$SOURCE"
    folder=$(cd "$TARGET" && go mod download -json "$MODULE@$VERSION" | sed -n 's/.*"Dir": "\(.*\)",\{0,1\}/\1/p')
    cp -r "$folder" "$SOURCE"
    chmod -R u+w "$SOURCE"
fi
# The source pins an old Rust that is not to be downloaded; the one at hand builds it as well.
if command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN="${RUSTUP_TOOLCHAIN:-$(rustup show active-toolchain | cut -d' ' -f1)}"
    export RUSTUP_TOOLCHAIN
fi
cd "$SOURCE"
# The present compilers know more warnings than the source was written for, which takes each for an error.
cat >"$TARGET/rustc" <<'END'
#!/bin/sh
case " $* " in
*" --cap-lints "*) exec "$@" ;;
*) exec "$@" --cap-lints allow ;;
esac
END
chmod +x "$TARGET/rustc"
export GOFLAGS=-buildvcs=false GOTOOLCHAIN=local RUSTC_WRAPPER="$TARGET/rustc"
go build -o "$TARGET/pkg-config" github.com/influxdata/pkg-config >&2
PKG_CONFIG="$TARGET/pkg-config" go build -tags "$TAGS" -ldflags "-s -w -X main.version=$VERSION -checklinkname=0" \
    -o "$TARGET/influxd.part" ./cmd/influxd >&2
mv "$TARGET/influxd.part" "$TARGET/influxd"
rm -rf "$SOURCE"
echo "$TARGET/influxd"
