//! A set of messages that is emptied in no time: one lane after another uses it.

pub(crate) struct Seen {
    stamps: Vec<u32>,
    now: u32,
}

impl Seen {
    pub(crate) fn new(messages: usize) -> Seen {
        Seen { stamps: vec![0; messages], now: 1 }
    }

    pub(crate) fn forget(&mut self) {
        self.now += 1;
    }

    /// Whether it is new.
    #[inline]
    pub(crate) fn insert(&mut self, message: u32) -> bool {
        std::mem::replace(&mut self.stamps[message as usize], self.now) != self.now
    }

    #[inline]
    pub(crate) fn has(&self, message: u32) -> bool {
        self.stamps[message as usize] == self.now
    }
}
