//! What stands beside the benchmarks: `cargo run -p benches -- corpus` writes the chat corpus anew, `-- compare REF` tells
//! whether something became slower since a commit (`just bench-compare REF`).

use std::io;
use std::path::Path;
use std::process::ExitCode;

use benches::compare::{Wish, compare};
use benches::corpus::{ROOMS, lines};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("corpus") => write_corpus().map(|()| true).map_err(|error| error.to_string()),
        Some("compare") => {
            Wish::of(arguments).and_then(|wish| compare(&wish, &mut io::stdout()).map_err(|error| error.to_string()))
        }
        _ => Err("what is it to be: corpus, or compare REF?".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("benches: {why}");
            ExitCode::from(2)
        }
    }
}

fn write_corpus() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/chat/rooms");
    std::fs::create_dir_all(&folder)?;
    for room in ROOMS {
        std::fs::write(folder.join(room.name).with_extension("txt"), lines(room).join("\n") + "\n")?;
    }
    Ok(())
}
