//! What is wrong in a drill file, and where.
//!
//! A bad file reports all of its mistakes at once; each names the place, the thing and, where one is near, the name
//! that was probably meant.

use std::fmt;

/// One mistake. Lines and columns count from 1; a setting that the command line gave has no place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Option<Place>,
    pub message: String,
    /// The nearest known name.
    pub nearest: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Everything that is wrong with one file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The path, or the name of a shipped drill.
    pub file: String,
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for Mistakes {}

impl Mistakes {
    /// One, about the file as a whole.
    pub(crate) fn whole(file: &str, message: String) -> Mistakes {
        Mistakes::new(file, vec![Mistake { place: None, message, nearest: None }])
    }

    /// What the file names is not fit for a drill, a sentence each.
    pub fn unfit(file: &str, why: Vec<String>) -> Mistakes {
        let mistake = |message| Mistake { place: None, message, nearest: None };
        Mistakes::new(file, why.into_iter().map(mistake).collect())
    }

    pub(crate) fn new(file: &str, mut mistakes: Vec<Mistake>) -> Mistakes {
        mistakes.sort_by_key(|mistake| mistake.place);
        mistakes.dedup();
        Mistakes { file: file.to_owned(), mistakes }
    }
}

/// What is wrong with all files of a command: each is read whatever is wrong with the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered(Vec<Mistakes>);

impl std::error::Error for Gathered {}

impl Gathered {
    /// What was read, or else its mistakes are noted: each once, however often a file is read.
    pub fn note<T>(&mut self, read: Result<T, Mistakes>) -> Option<T> {
        let found = match read {
            Ok(read) => return Some(read),
            Err(found) => found,
        };
        match self.0.iter_mut().find(|before| before.file == found.file) {
            Some(before) => {
                let more: Vec<_> =
                    found.mistakes.into_iter().filter(|mistake| !before.mistakes.contains(mistake)).collect();
                before.mistakes.extend(more);
                before.mistakes.sort_by_key(|mistake| mistake.place);
            }
            None => self.0.push(found),
        }
        None
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        told(std::slice::from_ref(self), f)
    }
}

impl fmt::Display for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        told(&self.0, f)
    }
}

fn told(files: &[Mistakes], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (file, mistake) in files.iter().flat_map(|of| of.mistakes.iter().map(|mistake| (&of.file, mistake))) {
        f.write_str(file)?;
        if let Some(place) = mistake.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", mistake.message)?;
        if let Some(nearest) = &mistake.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        f.write_str("\n")?;
    }
    let n: usize = files.iter().map(|of| of.mistakes.len()).sum();
    write!(f, "{n} mistake{}; nothing was started", if n == 1 { "" } else { "s" })
}

/// The known name that a person most probably meant, when one is near enough to be worth saying.
pub(crate) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let likeness = |name: &&str| strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase());
    let best = known.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.75).then(|| best.to_owned())
}

/// So near that nothing else can have been meant.
pub(crate) fn is_near(wrong: &str, known: &str) -> bool {
    strsim::damerau_levenshtein(&wrong.to_lowercase(), known) <= 2
}

/// Where byte `at` of `text` is.
pub(crate) fn place(text: &str, at: usize) -> Place {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}
