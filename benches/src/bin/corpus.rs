//! Writes the chat corpus anew: `cargo run -p benches --bin corpus`.

use std::path::Path;

use benches::corpus::{ROOMS, lines};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/chat/rooms");
    std::fs::create_dir_all(&folder)?;
    for room in ROOMS {
        std::fs::write(folder.join(room.name).with_extension("txt"), lines(room).join("\n") + "\n")?;
    }
    Ok(())
}
