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
    simulate="--quiet --package suites-simulation --bin simulate -- --lines --seeds {{ seeds }}"
    diff <(cargo run $simulate) <(cargo run --release $simulate)
    cargo run $simulate

# The same failover on several engines (each is fetched when it is not there)
engines drill="primary-kill":
    #!/usr/bin/env bash
    set -euo pipefail
    for engine in redis-7.0 redis-8.2 valkey-8.1 valkey-9.1; do
      cargo chaos drill {{ drill }} --engine "$engine"
    done

# Repeat one drill with seeds 1 to n
soak drill="primary-kill" n="20":
    #!/usr/bin/env bash
    set -euo pipefail
    for seed in $(seq 1 {{ n }}); do
      cargo chaos drill {{ drill }} --seed "$seed"
    done

# Criterion benchmarks
bench *filter:
    cargo bench --package benches {{ filter }}

# What a delivery costs the node, beside `write(2)` alone, and its memory per idle connection (two quiet cores)
fanout:
    cargo bench --package benches --bench fanout

# The official Socket.IO clients (npm), for the tests that need them
clients:
    #!/usr/bin/env bash
    set -euo pipefail
    to="${CARGO_TARGET_DIR:-target}/clients"
    if cmp -s fixtures/clients/package-lock.json "$to/package-lock.json"; then exit; fi
    rm -rf "$to" "$to.new"
    mkdir -p "$to.new"
    cp fixtures/clients/package.json fixtures/clients/package-lock.json "$to.new"
    npm ci --prefix "$to.new" --ignore-scripts --no-audit --no-fund --loglevel error
    mv "$to.new" "$to"

# The contract as rust_socketio sees it: a workspace of its own, which builds OpenSSL (perl, make; minutes when cold)
rust-socketio:
    cargo build --package system-server
    CHAT_NODE="${CARGO_TARGET_DIR:-$PWD/target}/debug/chat-node" cargo test --locked --manifest-path suites/rust_socketio/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$PWD/target}/rust-socketio"
