//! `cargo bench --package benches --bench fanout`: server time per delivery beside the kernel's floor, and memory per
//! idle connection; with `--peers` beside other servers, with `--compressed` on the wire too. `cargo test` runs it at
//! smoke size.

use benches::fanout::{COMPRESSED, OURS, PEERS, SMOKE, main as compare};

fn main() -> std::io::Result<()> {
    let asked = |word| std::env::args().any(|argument| argument == word);
    let mut sizes = Vec::new();
    sizes.extend(asked("--peers").then_some(PEERS));
    sizes.extend(asked("--compressed").then_some(COMPRESSED));
    if sizes.is_empty() {
        sizes.push(if asked("--bench") { OURS } else { SMOKE });
    }
    compare(&sizes, &mut std::io::stdout())
}
