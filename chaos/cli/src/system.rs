//! `--system FILE`: the system under test.

use chaos_drill::{Mistakes, System};

/// Reads the file, or gives the reference system where nothing or its name was given.
pub(crate) fn load(named: &str) -> Result<System, Mistakes> {
    if named == System::REFERENCE { Ok(System::reference()) } else { System::load(named) }
}
