# `just` lists the recipes; CI calls the same ones.

# The workspace's crates as a release build sees them; dependencies stay as they were built.
without_debug_assertions := "--config profile.dev.debug-assertions=false --config 'profile.dev.package.\"*\".debug-assertions=true'"

[private]
default:
    @just --list --unsorted

# The failover drill (or another: `just chaos node-kill --seed 3`); `cargo chaos drills` lists them
chaos drill="primary-kill" *options:
    cargo chaos drill {{ drill }} {{ options }}

# What the README calls "the tests"
test:
    cargo test

# The scenarios of the suites again, in containers (needs a Docker engine)
test-containers *filter:
    HOLDFAST_BACKEND=containers cargo test --test suites -- {{ filter }}

# Every fault and every verb of a cluster again, in containers
test-faults-in-containers *tests="--test faults --test cluster":
    HOLDFAST_BACKEND=containers cargo test --workspace {{ tests }}

# The Dockerfile, compose (brought up for real), Kubernetes, nginx, Prometheus and its alerts (needs a Docker engine)
deployments: clients
    .ci/deployments

# Writes the experiments for Chaos Mesh again, from the shipped drills
chaos-mesh:
    HOLDFAST_WRITE_EXPERIMENTS=1 cargo test --workspace --test suites experiments_for_chaos_mesh

# Format, clippy (then what is shipped without what only debug builds have), licences and sources of dependencies
lint:
    cargo fmt --all --check
    cargo fmt --check --manifest-path suites/rust_socketio/Cargo.toml
    cargo clippy --workspace --all-targets --quiet -- -D warnings
    cargo clippy --workspace --lib --bins --quiet {{ without_debug_assertions }} -- -D warnings
    cargo deny --log-level error check bans licenses sources

# Known vulnerabilities too (needs the advisory database)
audit-dependencies:
    cargo deny check

# Every shipped drill that must pass, then every one that must fail
drills:
    #!/usr/bin/env bash
    set -euo pipefail
    for drill in primary-kill primary-pause replica-kill node-kill primary-and-node-kill one-replica rolling-restart; do
      cargo chaos drill "$drill"
    done
    just must-fail

# The drills that must fail: each by the rule that it declares
must-fail:
    #!/usr/bin/env bash
    set -euo pipefail
    for drill in pubsub-primary-kill no-fence fast-restart-no-aof; do
      cargo chaos drill "$drill" --expect declared
    done

# A seed is the same world in a debug and in an optimised build
one-world seeds="0..6":
    #!/usr/bin/env bash
    set -euo pipefail
    simulate="--quiet --bin simulate -- --lines --seeds {{ seeds }}"
    diff <(cargo run $simulate) <(cargo run --release $simulate)
    cargo run $simulate

# The same failovers on every engine, each promotion beside its own budget (an engine is fetched when it is not there)
engines *drills:
    cargo chaos matrix {{ drills }}

# Repeat one drill with seeds 1 to n
soak drill="primary-kill" n="20":
    #!/usr/bin/env bash
    set -euo pipefail
    for seed in $(seq 1 {{ n }}); do
      cargo chaos drill {{ drill }} --seed "$seed"
    done

# A million fuzzed frames for the decoder, and a million for a live node (`HOLDFAST_SEED` plays one again)
fuzz frames="1000000":
    HOLDFAST_FUZZ_FRAMES={{ frames }} cargo test --workspace --test suites fuzz:: -- --nocapture --test-threads=1

# The Autobahn suite against system-wire's echo server, all groups or those named (`just autobahn "12.1.*"`)
autobahn *cases:
    .ci/autobahn {{ cases }}

# What the system's parts cost, kept as a baseline named by the commit (`just bench system/codec`: some of them)
bench filter="":
    cargo bench --package benches --bench costs -- --noplot --save-baseline "$(git describe --always --dirty)" "{{ filter }}"

# Whether anything became slower since a commit: both are built and run in turns; fails above 5 %
bench-compare ref *options:
    cargo run --quiet --bin benches -- compare {{ ref }} {{ options }}

# What a delivery costs the node, beside `write(2)` alone, and its memory per idle connection (two quiet cores)
fanout:
    cargo bench --package benches --bench fanout

# The same beside Socket.IO for Node and stock socketioxide, and what compression saves (eleven minutes; `just systems`)
peers:
    cargo bench --package benches --bench fanout -- --peers --compressed

# The official Socket.IO clients (npm), for the tests that need them
clients: (npm "clients")

# The reference system, Socket.IO for Node with three adapters and socketioxide through one drill, side by side (npm)
compare *options: systems
    cargo chaos compare {{ options }}

# What Socket.IO for Node needs, for comparisons with it (npm)
systems: (npm "systems/socket.io")

# What a package.json with its lock below fixtures/ asks for, installed in the same place below target/
[private]
npm folder:
    #!/usr/bin/env bash
    set -euo pipefail
    from="fixtures/{{ folder }}" to="${CARGO_TARGET_DIR:-target}/{{ folder }}"
    if cmp -s "$from/package-lock.json" "$to/package-lock.json"; then exit; fi
    rm -rf "$to" "$to.new"
    mkdir -p "$to.new"
    cp "$from/package.json" "$from/package-lock.json" "$to.new"
    npm ci --prefix "$to.new" --ignore-scripts --no-audit --no-fund --loglevel error
    mv "$to.new" "$to"

# The contract as rust_socketio sees it: a workspace of its own, which builds OpenSSL (perl, make; minutes when cold)
rust-socketio:
    cargo build --bin chat-node
    CHAT_NODE="${CARGO_TARGET_DIR:-$PWD/target}/debug/chat-node" cargo test --locked --manifest-path suites/rust_socketio/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$PWD/target}/rust-socketio"
