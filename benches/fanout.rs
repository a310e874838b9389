//! `cargo bench --package benches --bench fanout`: server time per delivery beside the kernel's floor, and memory per
//! idle connection. `cargo test` runs it at smoke size.

use benches::fanout::{FULL, SMOKE, main as compare};

fn main() -> std::io::Result<()> {
    let size = if std::env::args().any(|argument| argument == "--bench") { FULL } else { SMOKE };
    compare(size, &mut std::io::stdout())
}
