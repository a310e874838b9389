//! `cargo bench --package benches --bench fanout`: server time per delivery beside the kernel's floor, and memory per
//! idle connection; with `--peers` beside other servers, with `--compressed` on the wire too. `cargo test` runs it at
//! smoke size.

use std::io;

use benches::fanout::{COMPRESSED, OURS, PEERS, SMOKE, main as compare};

const PEERS_TOO: &str = "--peers";
const WIRE_TOO: &str = "--compressed";
/// What `cargo bench` says, and `cargo test` does not.
const IN_FULL: &str = "--bench";

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = |word: &str| words.iter().any(|said| said == word);
    // With `cargo test` come words that are meant for others.
    let unknown = words.iter().find(|word| asked(IN_FULL) && ![PEERS_TOO, WIRE_TOO, IN_FULL].contains(&word.as_str()));
    if let Some(unknown) = unknown {
        let why = format!("{unknown:?} is not known; {PEERS_TOO} and {WIRE_TOO} are");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut sizes = Vec::new();
    sizes.extend(asked(PEERS_TOO).then_some(PEERS));
    sizes.extend(asked(WIRE_TOO).then_some(COMPRESSED));
    if sizes.is_empty() {
        sizes.push(if asked(IN_FULL) { OURS } else { SMOKE });
    }
    compare(&sizes, &mut io::stdout())
}
