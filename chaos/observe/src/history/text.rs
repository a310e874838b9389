//! Reading `history.jsonl`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::{Builder, History, Record};
use crate::lines::wrong;

/// Why a stored history cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("history {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("history {}:{line}: {}", path.display(), wrong(source))]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
}

impl History {
    pub fn load(path: &Path) -> Result<History, HistoryError> {
        let failed = |source| HistoryError::Read { path: path.to_owned(), source };
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
        let (mut builder, mut text) = (Builder::default(), String::new());
        for line in 1.. {
            text.clear();
            if lines.read_line(&mut text).map_err(failed)? == 0 {
                break;
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let parsed = serde_json::from_str::<Record>(&text);
            let record = parsed.map_err(|source| HistoryError::Line { path: path.to_owned(), line, source })?;
            builder.add(&record);
        }
        Ok(builder.finish())
    }
}
