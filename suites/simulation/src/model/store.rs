//! What one server holds, and the effects that change it: the unit of replication.
//!
//! A command first decides (it may read the clock and the store), then its effects are applied here and sent to the
//! replicas in one piece. Source: Redis replicates a script by its effects inside MULTI/EXEC, so a replica has all of
//! a function call or nothing (redis.io/docs/latest/develop/programmability/eval-intro, "Script replication").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::slot::slot_of;
use super::stream::{Fields, Id, Stream};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(Bytes),
    Stream(Arc<Stream>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub value: Value,
    /// Unix milliseconds. Kept and shown, never carried out: 30 simulated seconds are shorter than any window.
    pub expires: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Store {
    keys: BTreeMap<Bytes, Entry>,
    /// Function libraries by name; they are part of the data set, replicated and persisted like keys.
    libraries: BTreeMap<String, Bytes>,
    /// What they name between quotes, the functions among it.
    named: BTreeSet<Bytes>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Set {
        key: Bytes,
        value: Bytes,
        expires: Option<u64>,
    },
    Add {
        key: Bytes,
        id: Id,
        fields: Fields,
    },
    Expire {
        key: Bytes,
        at: u64,
    },
    DropFirst {
        key: Bytes,
        count: usize,
    },
    DeleteEntry {
        key: Bytes,
        id: Id,
    },
    Delete {
        key: Bytes,
    },
    /// A key that comes from another node while its slot migrates.
    Restore {
        key: Bytes,
        entry: Entry,
    },
    Load {
        library: String,
        code: Bytes,
    },
}

impl Effect {
    /// Bytes that this takes in the replication stream, about; only order and growth matter.
    pub fn size(&self) -> u64 {
        let payload = match self {
            Effect::Set { key, value, .. } => key.len() + value.len(),
            Effect::Add { key, fields, .. } => key.len() + fields.iter().map(Bytes::len).sum::<usize>(),
            Effect::Load { code, .. } => code.len(),
            Effect::Expire { key, .. }
            | Effect::DropFirst { key, .. }
            | Effect::DeleteEntry { key, .. }
            | Effect::Delete { key }
            | Effect::Restore { key, .. } => key.len(),
        };
        50 + payload as u64
    }
}

impl Store {
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.keys.get(key)
    }

    pub fn text(&self, key: &[u8]) -> Option<&Bytes> {
        match &self.keys.get(key)?.value {
            Value::Text(text) => Some(text),
            Value::Stream(_) => None,
        }
    }

    pub fn stream(&self, key: &[u8]) -> Option<&Stream> {
        match &self.keys.get(key)?.value {
            Value::Stream(stream) => Some(stream),
            Value::Text(_) => None,
        }
    }

    pub fn holds(&self, key: &[u8]) -> bool {
        self.keys.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.keys()
    }

    pub fn keys_of_slot(&self, slot: u16) -> Vec<Bytes> {
        self.keys.keys().filter(|key| slot_of(key) == slot).cloned().collect()
    }

    pub fn streams(&self) -> impl Iterator<Item = (&Bytes, &Stream)> {
        self.keys.iter().filter_map(|(key, entry)| match &entry.value {
            Value::Stream(stream) => Some((key, &**stream)),
            Value::Text(_) => None,
        })
    }

    pub fn libraries(&self) -> &BTreeMap<String, Bytes> {
        &self.libraries
    }

    /// A function is there when a library that names it is.
    pub fn has_function(&self, name: &[u8]) -> bool {
        self.named.contains(name)
    }

    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Set { key, value, expires } => {
                self.keys.insert(key.clone(), Entry { value: Value::Text(value.clone()), expires: *expires });
            }
            Effect::Add { key, id, fields } => self.change_stream(key, |stream| stream.add(*id, fields.clone())),
            Effect::Expire { key, at } => {
                if let Some(entry) = self.keys.get_mut(key) {
                    entry.expires = Some(*at);
                }
            }
            Effect::DropFirst { key, count } => self.change_stream(key, |stream| stream.drop_first(*count)),
            Effect::DeleteEntry { key, id } => self.change_stream(key, |stream| {
                stream.delete(*id);
            }),
            Effect::Delete { key } => {
                self.keys.remove(key);
            }
            Effect::Restore { key, entry } => {
                self.keys.insert(key.clone(), entry.clone());
            }
            Effect::Load { library, code } => {
                let quoted = code.split(|byte| *byte == b'\'').skip(1);
                self.named.extend(quoted.map(|name| code.slice_ref(name)));
                self.libraries.insert(library.clone(), code.clone());
            }
        }
    }

    fn change_stream(&mut self, key: &Bytes, change: impl FnOnce(&mut Stream)) {
        let empty = || Entry { value: Value::Stream(Arc::default()), expires: None };
        if let Value::Stream(stream) = &mut self.keys.entry(key.clone()).or_insert_with(empty).value {
            change(Arc::make_mut(stream));
        }
    }
}
