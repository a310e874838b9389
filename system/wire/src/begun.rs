//! A frame of the server's that is written in pieces: held back until it is whole, so that no other gets into it.

use std::io;

use crate::frame;

/// What of a frame was written so far.
#[derive(Default)]
pub(crate) struct Begun(Vec<u8>);

impl Begun {
    /// Takes what belongs to the frame from the front of `bytes`; the frame, when it is whole. A frame that is larger
    /// than `limit` is an error, at once and whatever follows.
    pub(crate) fn take(&mut self, bytes: &mut &[u8], limit: usize) -> io::Result<Option<&[u8]>> {
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        loop {
            let length = match frame::length(&self.0) {
                None => self.0.len() + 1,
                Some(Err(frame::Masked)) => return refused("a server's frame is masked"),
                Some(Ok(length)) if length > limit as u64 => return refused("a frame is larger than the limit"),
                Some(Ok(length)) => length as usize,
            };
            let missing = length - self.0.len();
            if missing == 0 {
                return Ok(Some(&self.0));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            let (mine, others) = bytes.split_at(missing.min(bytes.len()));
            self.0.reserve(missing);
            self.0.extend_from_slice(mine);
            *bytes = others;
        }
    }
}
