#!/usr/bin/env bash
# Runs Apache Flink's own keyed state backends; one JSON object per measurement on stdout.
#
#   run.sh environment     versions and machine
#   run.sh OPTIONS...      FlinkStateBench with these options, in a JVM of its own, for example
#                          run.sh --workload rmw --backend rocksdb --n 500000 --managedmb 512
#
# The first run downloads the wheel apache-flink-libraries (330 MB) with pip, for the jars in it, and compiles. Needs
# Java 17 or later with javac, and python3 with pip.
#
# Environment: FLINK_PEER_CACHE (default ~/.cache/flink-peer) keeps the jars and classes; FLINK_PEER_HEAP (default 3g)
# is -Xmx; FLINK_PEER_WORK (default /tmp) takes databases and snapshots; FLINK_PEER_GC (default G1) picks the
# collector; FLINK_PEER_JAVA_OPTS is added to every java command.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=2.3.0
cache=${FLINK_PEER_CACHE:-$HOME/.cache/flink-peer}
heap=${FLINK_PEER_HEAP:-3g}
work=${FLINK_PEER_WORK:-/tmp}
lib=$cache/$version/lib

if [ ! -e "$lib/.complete" ]; then
    mkdir -p "$lib"
    got=$(mktemp -d "$cache/download.XXXXXX")
    trap 'rm -rf "$got"' EXIT
    # The Python package carries Flink's binary distribution; nothing of it is installed.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps \
        --dest "$got" "apache-flink-libraries==$version" >&2
    wheel=$(ls "$got"/*.whl)
    python3 - "$wheel" "$lib" <<'PY' >&2
import fnmatch, os, shutil, sys, zipfile
wheel, lib = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in z.namelist():
        base = os.path.basename(name)
        if "/lib/" in name and (fnmatch.fnmatch(base, "flink-dist-*.jar")
                                or fnmatch.fnmatch(base, "log4j-*.jar")):
            with z.open(name) as src, open(os.path.join(lib, base), "wb") as dst:
                shutil.copyfileobj(src, dst)
PY
    ls "$lib"/flink-dist-*.jar >/dev/null
    touch "$lib/.complete"
    rm -rf "$got"
    trap - EXIT
fi

classes=$cache/$version/classes
if [ ! -e "$classes/.complete" ] || [ -n "$(find "$here" -name '*.java' -newer "$classes/.complete")" ]; then
    rm -rf "$classes"
    mkdir -p "$classes"
    javac -nowarn -Xlint:-deprecation -cp "$lib/flink-dist-$version.jar" -d "$classes" "$here"/*.java 2>&1 |
        grep -v '^Note:' >&2 || true
    [ -e "$classes/alluvium/peer/FlinkStateBench.class" ]
    touch "$classes/.complete"
fi

cp=$classes:$(printf '%s:' "$lib"/*.jar)
opens=(
    --add-opens java.base/java.lang=ALL-UNNAMED
    --add-opens java.base/java.net=ALL-UNNAMED
    --add-opens java.base/java.nio=ALL-UNNAMED
    --add-opens java.base/java.util=ALL-UNNAMED
    --add-opens java.base/java.util.concurrent=ALL-UNNAMED
)

# Flink's start script gives task managers G1 and -Xms equal to -Xmx. G1 tracks every reference
# written into old objects, which costs the heap backend's updates dearly where cores are scarce, so
# the heap measurements run with the parallel collector too: the faster one is the peer to beat.
# Touching the heap's pages up front keeps first-touch faults out of the rounds.
gc=${FLINK_PEER_GC:-G1}
fixed="-Xms$heap -XX:+AlwaysPreTouch"
run_java() {
    # shellcheck disable=SC2086
    java "-Xmx$heap" $fixed "-XX:+Use${gc}GC" "-Dflink.version=$version" \
        "-Dlog4j.configurationFile=$here/log4j2.properties" \
        "${opens[@]}" ${FLINK_PEER_JAVA_OPTS:-} -cp "$cp" "$@"
}

environment() {
    printf '{"environment": {"version": "Apache Flink %s", "java": "%s", "cpu": "%s", "cores": %s, "memory_bytes": %s, "os": "%s", "date": "%s", "command": "%s"}}\n' \
        "$version" \
        "$(java -version 2>&1 | sed -n '2s/"//g;2p')" \
        "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)" \
        "$(nproc)" "$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))" \
        "$(uname -sr)" "$(date -u +%Y-%m-%d)" "${FLINK_PEER_COMMAND:-run.sh}"
}

case " $* " in
    " environment ") environment ;;
    # Memory is what the process comes to by itself, so the heap is left to grow.
    *" --workload memory "*) fixed="" && run_java alluvium.peer.FlinkStateBench --workdir "$work" "$@" ;;
    *" --workload "*) run_java alluvium.peer.FlinkStateBench --workdir "$work" "$@" ;;
    *)
        echo "usage: run.sh environment, or options of FlinkStateBench" >&2
        exit 2
        ;;
esac
