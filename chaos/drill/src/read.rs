//! Reading TOML so that every mistake is found in one pass.
//!
//! serde stops at the first; this keeps going: a value of the wrong type is noted and taken as absent, and a table
//! knows which keys it was asked for, so that what is left over is unknown and its nearest name can be told.
//! The meaning of the keys is `load.rs`; this file knows none of them.

mod twice;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    rc::Rc,
};

use chaos_observe::Length;
use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::mistake::{Mistake, Place, is_near, nearest, place};

/// Where each setting stands, by its dotted path (`workload.fan_out.rooms`, `step.0.at`).
pub(crate) type Places = BTreeMap<String, Place>;

/// Top tables and settings that hold a mistake, so that what they say is not known; `""`: all of them.
pub(crate) type Unread = BTreeSet<String>;

/// The setting itself, or the nearest table around it that stands in the file (a default stands nowhere).
pub(crate) fn nearest_place(places: &Places, path: &str) -> Option<Place> {
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return Some(*place);
        }
        path = path.rsplit_once('.')?.0;
    }
}

/// One file being read: the text, and what was found wrong so far.
#[derive(Clone)]
pub(crate) struct Source<'t> {
    text: &'t str,
    found: Rc<RefCell<(Vec<Mistake>, Places, Unread)>>,
}

/// A table of the file, or the absence of one (everything in it is then absent too).
pub(crate) struct Table<'t> {
    source: Source<'t>,
    path: String,
    place: Place,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'t>>)>,
    asked: Vec<&'static str>,
}

impl<'t> Source<'t> {
    /// The top table of `text`; syntax errors are noted, and what could be read is read.
    pub(crate) fn open(text: &'t str) -> (Source<'t>, Table<'t>) {
        let source = Source { text, found: Rc::default() };
        let (top, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            let message = twice::told(text, error.message(), &span).unwrap_or_else(|| error.message().to_owned());
            source.mistake("", span.start, message, None);
        }
        let table = source.table(String::new(), top.span().start, top.into_inner());
        (source, table)
    }

    pub(crate) fn close(self) -> (Vec<Mistake>, Places, Unread) {
        self.found.take()
    }

    fn table(&self, path: String, at: usize, entries: DeTable<'t>) -> Table<'t> {
        let place = place(self.text, at);
        let own = |(key, value): (Spanned<_>, _)| {
            let key: Spanned<std::borrow::Cow<'_, str>> = key;
            (key.get_ref().to_string(), (key.span(), value))
        };
        Table { source: self.clone(), path, place, entries: entries.into_iter().map(own).collect(), asked: Vec::new() }
    }

    /// About the setting or table at `path`.
    fn mistake(&self, path: &str, at: usize, message: String, nearest: Option<String>) {
        let place = Some(place(self.text, at));
        self.unread(path);
        self.found.borrow_mut().0.push(Mistake { place, message, nearest });
    }
}

impl Source<'_> {
    fn unread(&self, path: &str) {
        let top = path.split('.').next().unwrap_or_default();
        self.found.borrow_mut().2.insert(top.to_owned());
    }
}

impl<'t> Table<'t> {
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake about the whole table.
    pub(crate) fn wrong(&self, message: String) {
        if !self.path.is_empty() {
            self.source.unread(&self.path);
        }
        self.source.found.borrow_mut().0.push(Mistake { place: Some(self.place), message, nearest: None });
    }

    /// The value of `key`, as `read` understands it; what it cannot understand is a mistake (`read` says what it
    /// wants) and counts as absent.
    pub(crate) fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.asked.push(key);
        let path = self.path_of(key);
        let (_, value) = self.entries.get(key)?;
        let at = value.span().start;
        self.source.found.borrow_mut().1.insert(path.clone(), place(self.source.text, at));
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(Wrong { message, nearest, within }) => {
                let at = within.map_or(at, |within| within.start);
                self.source.mistake(&path, at, format!("`{path}`: {message}"), nearest);
                None
            }
        }
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.value(key, |value| value.as_str().map(str::to_owned).ok_or_else(|| Wrong::kind(value, "a text")))
    }

    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.value(key, |value| value.as_bool().ok_or_else(|| Wrong::kind(value, "true or false")))
    }

    pub(crate) fn length(&mut self, key: &'static str) -> Option<Length> {
        self.value(key, |value| {
            let text = value.as_str().ok_or_else(|| Wrong::kind(value, "a length of time, as a text (\"5s\")"))?;
            text.parse::<Length>().map_err(|error| Wrong::new(error.to_string()))
        })
    }

    /// A whole number within `range`.
    pub(crate) fn whole(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        self.value(key, |value| {
            let integer = value.as_integer().ok_or_else(|| Wrong::kind(value, "a whole number"))?;
            let number = u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok();
            let (low, high) = (range.start(), range.end());
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| Wrong::new(format!("{} is outside {low}..={high}", integer.as_str())))
        })
    }

    /// One of the named values.
    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, known: &[(&'static str, T)]) -> Option<T> {
        self.value(key, |value| {
            let text = value.as_str().ok_or_else(|| Wrong::kind(value, "a text"))?;
            let hit = known.iter().find(|(name, _)| *name == text);
            hit.map(|(_, choice)| *choice).ok_or_else(|| Wrong::name(text, known.iter().map(|(name, _)| *name)))
        })
    }

    /// A list of texts, each as `read` understands it.
    pub(crate) fn list<T>(&mut self, key: &'static str, read: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let mut wrong = Vec::new();
        let list = self.value(key, |value| {
            let array = value.as_array().ok_or_else(|| Wrong::kind(value, "a list of texts"))?;
            let mut list = Vec::new();
            for item in array {
                let text = item.get_ref().as_str().ok_or_else(|| Wrong::kind(item.get_ref(), "a text"));
                match text.and_then(&read) {
                    Ok(item) => list.push(item),
                    Err(refused) => wrong.push((item.span().start, refused)),
                }
            }
            Ok(list)
        });
        let path = self.path_of(key);
        for (at, refused) in wrong {
            self.source.mistake(&path, at, format!("`{path}`: {}", refused.message), refused.nearest);
        }
        list
    }

    /// How long a list is in the file, with what is wrong in it.
    pub(crate) fn listed(&self, key: &str) -> Option<usize> {
        self.entries.get(key).and_then(|(_, value)| value.get_ref().as_array()).map(|list| list.len())
    }

    /// A value whose shape another crate owns and describes to serde; its first mistake only.
    pub(crate) fn described<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        let span = self.entries.get(key).map(|(_, value)| value.span());
        self.value(key, |value| {
            let value = Spanned::new(span.unwrap_or_default(), value.clone());
            T::deserialize(ValueDeserializer::from(value)).map_err(|error| Wrong::described(&error))
        })
    }

    /// A table under a misspelt name is read as what was meant: its own mistakes are told too, and nothing in it counts
    /// as missing.
    fn read_as(&mut self, key: &'static str) {
        if self.has(key) {
            return;
        }
        let is_table = |value: &DeValue<'_>| matches!(value, DeValue::Table(_) | DeValue::Array(_));
        let near = |name: &String| !self.asked.contains(&name.as_str()) && is_near(name, key);
        let meant = self.entries.iter().find(|(name, (_, value))| is_table(value.get_ref()) && near(name));
        let Some(wrong) = meant.map(|(name, _)| name.clone()) else { return };
        let message = format!("unknown key `{}`", self.path_of(&wrong));
        if let Some((span, value)) = self.entries.remove(&wrong) {
            self.source.mistake(&self.path_of(key), span.start, message, Some(key.to_owned()));
            self.entries.insert(key.to_owned(), (span, value));
        }
    }

    pub(crate) fn table(&mut self, key: &'static str) -> Table<'t> {
        self.read_as(key);
        let path = self.path_of(key);
        let inner = self.value(key, |value| match value {
            DeValue::Table(table) => Ok(table.clone()),
            other => Err(Wrong::kind(other, "a table")),
        });
        let at = self.entries.get(key).map(|(_, value)| value.span().start);
        let mut table = self.source.table(path, at.unwrap_or(0), inner.unwrap_or_default());
        if at.is_none() {
            table.place = self.place;
        }
        table
    }

    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Table<'t>> {
        self.read_as(key);
        let path = self.path_of(key);
        let items = self.value(key, |value| match value {
            DeValue::Array(items) => Ok(items.iter().cloned().collect::<Vec<_>>()),
            other => Err(Wrong::kind(other, "a list of tables")),
        });
        let mut tables = Vec::new();
        for (at, item) in items.unwrap_or_default().into_iter().enumerate() {
            let start = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => tables.push(self.source.table(format!("{path}.{at}"), start, table)),
                other => self.source.mistake(
                    &path,
                    start,
                    format!("`{path}.{at}`: {}", Wrong::kind(&other, "a table").message),
                    None,
                ),
            }
        }
        tables
    }

    /// The entries that were not asked for: tables under names of the file's own, which must be `known`; `names` are some
    /// of those.
    pub(crate) fn named(&mut self, known: impl Fn(&str) -> bool, names: &[String]) -> Vec<(String, Table<'t>)> {
        let own = |name: &String| !self.asked.contains(&name.as_str());
        let given: Vec<String> = self.entries.keys().filter(|name| own(name)).cloned().collect();
        let mut tables = Vec::new();
        for name in given {
            let path = self.path_of(&name);
            let Some((key, value)) = self.entries.remove(&name) else { continue };
            self.source.found.borrow_mut().1.insert(path.clone(), place(self.source.text, key.start));
            let at = value.span().start;
            match value.into_inner() {
                _ if !known(&name) => {
                    let nearest = nearest(&name, names.iter().map(String::as_str));
                    self.source.mistake(&path, key.start, format!("unknown key `{path}`"), nearest);
                }
                DeValue::Table(table) => tables.push((name, self.source.table(path, at, table))),
                other => {
                    let why = Wrong::kind(&other, "a table").message;
                    self.source.mistake(&path, at, format!("`{path}`: {why}"), None);
                }
            }
        }
        tables
    }

    /// Every entry of a table with names of the file's own, each as `read` understands it.
    pub(crate) fn texts<T>(self, read: impl Fn(&str) -> Result<T, Wrong>) -> BTreeMap<String, T> {
        let mut texts = BTreeMap::new();
        for (key, (_, value)) in &self.entries {
            let text = value.get_ref().as_str().ok_or_else(|| Wrong::kind(value.get_ref(), "a text"));
            match text.and_then(&read) {
                Ok(text) => drop(texts.insert(key.clone(), text)),
                Err(wrong) => self.wrong_at(key, wrong),
            }
        }
        texts
    }

    /// Notes a mistake about a setting by its dotted path, at the nearest place that stands in the file.
    pub(crate) fn wrong_below(&self, path: &str, why: &str) {
        let (mistakes, places, _) = &mut *self.source.found.borrow_mut();
        let place = nearest_place(places, path).or(Some(self.place));
        mistakes.push(Mistake { place, message: format!("`{path}`: {why}"), nearest: None });
    }

    /// Notes a mistake about the value of `key`.
    pub(crate) fn wrong_at(&self, key: &str, wrong: Wrong) {
        let at = self.entries.get(key).map_or(0, |(_, value)| value.span().start);
        let path = self.path_of(key);
        self.source.mistake(&path, at, format!("`{path}`: {}", wrong.message), wrong.nearest);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether nothing is wrong, as far as it was read, with the table or setting that the top table has under this key.
    pub(crate) fn can_be_read(&self, key: &str) -> bool {
        let unread = &self.source.found.borrow().2;
        !unread.contains(key) && !unread.contains("")
    }

    /// Notes that `key` is missing, unless it is there (and then wrong in its own way).
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.source.unread(&self.path_of(key));
            self.wrong(format!("`{}` is missing", self.path_of(key)));
        }
        value
    }

    /// What was never asked for is unknown.
    pub(crate) fn done(self) {
        for (key, (span, _)) in &self.entries {
            if !self.asked.contains(&key.as_str()) {
                let message = format!("unknown key `{}`", self.path_of(key));
                let meant = nearest(key, self.asked.iter().copied());
                let path = self.path_of(meant.as_deref().unwrap_or(key));
                self.source.mistake(&path, span.start, message, meant);
            }
        }
    }
}

/// Why one value was not understood.
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) nearest: Option<String>,
    /// The part of the file that it is about, when that is narrower than the value.
    pub(crate) within: Option<Range<usize>>,
}

impl Wrong {
    pub(crate) fn new(message: String) -> Wrong {
        Wrong { message, nearest: None, within: None }
    }

    fn kind(value: &DeValue<'_>, wanted: &str) -> Wrong {
        Wrong::new(format!("expected {wanted}, found a value of type {}", value.type_str()))
    }

    /// What serde says. Its sentences put names into backticks, the wrong one first and the known ones after it.
    fn described(error: &toml::de::Error) -> Wrong {
        let names: Vec<_> = error.message().split('`').skip(1).step_by(2).collect();
        let unknown = error.message().starts_with("unknown ");
        let nearest =
            names.split_first().filter(|_| unknown).and_then(|(wrong, known)| nearest(wrong, known.iter().copied()));
        Wrong { message: error.message().to_owned(), nearest, within: error.span() }
    }

    /// `text` is none of the known names.
    pub(crate) fn name<'n>(text: &str, known: impl IntoIterator<Item = &'n str>) -> Wrong {
        let known: Vec<_> = known.into_iter().collect();
        let message = format!("`{text}` is unknown (known: {})", known.join(", "));
        Wrong { message, nearest: nearest(text, known), within: None }
    }
}
