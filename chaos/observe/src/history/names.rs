//! Names as small numbers.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// Gives each name the next number, from 0.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: HashMap<Arc<str>, u32, BuildHasherDefault<Quick>>,
    names: Vec<Arc<str>>,
}

impl Names {
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (number, name) = (self.names.len() as u32, Arc::<str>::from(name));
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Panics on a number that was never given.
    pub fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// With each number replaced by the one that `numbers` has for it; they must be as many, each once.
    pub(crate) fn renumbered(self, numbers: &[u32]) -> Names {
        let mut renumbered = Names { names: self.names.clone(), numbers: self.numbers };
        for (name, number) in self.names.into_iter().zip(numbers) {
            renumbered.names[*number as usize] = name;
        }
        renumbered.numbers.values_mut().for_each(|number| *number = numbers[*number as usize]);
        renumbered
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Names are short and our own; the standard hasher's defence against chosen keys would cost more than the rest.
#[derive(Clone, Debug)]
pub(crate) struct Quick(u64);

impl Default for Quick {
    fn default() -> Quick {
        Quick(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}
