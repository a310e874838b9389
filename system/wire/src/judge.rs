//! What a peer's frames are held to by their headers alone (RFC 6455, section 5), before the server above reads them: a
//! fault is then told with its status, whatever the server says to it. What only a payload shows is left to the server.

use crate::deflate::DecodeError;
use crate::header::{Header, LONGEST};

/// Where between frames and messages a peer is.
#[derive(Default)]
pub(crate) struct Judge {
    /// Of a header that is not whole, and how many bytes that is.
    header: [u8; LONGEST],
    came: usize,
    /// Bytes of payload until the next header.
    left: u64,
    /// Bytes of the message that goes on in the next frame.
    message: Option<u64>,
    fault: Option<DecodeError>,
}

impl Judge {
    /// How many of these bytes the server may read: up to the header with the first fault.
    pub(crate) fn pass(&mut self, bytes: &[u8], limit: usize) -> usize {
        let mut passed = 0;
        while passed < bytes.len() && self.fault.is_none() {
            let rest = &bytes[passed..];
            passed += if self.left > 0 { self.payload(rest) } else { self.header(rest, limit) };
        }
        passed
    }

    /// What comes after all that passed.
    pub(crate) fn fault(&self) -> Option<DecodeError> {
        self.fault
    }

    /// Between two messages, as at the beginning.
    pub(crate) fn is_idle(&self) -> bool {
        self.came == 0 && self.left == 0 && self.message.is_none() && self.fault.is_none()
    }

    fn payload(&mut self, bytes: &[u8]) -> usize {
        let passed = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= passed as u64;
        passed
    }

    fn header(&mut self, bytes: &[u8], limit: usize) -> usize {
        let before = self.came;
        let more = bytes.len().min(LONGEST - before);
        self.header[before..before + more].copy_from_slice(&bytes[..more]);
        let Some((header, length)) = Header::parse(&self.header[..before + more]) else {
            self.came += more;
            return more;
        };
        self.fault = self.frame(&header, limit).err();
        if self.fault.is_some() {
            return 0;
        }
        (self.came, self.left) = (0, header.length);
        length - before
    }

    fn frame(&mut self, header: &Header, limit: usize) -> Result<(), DecodeError> {
        if header.mask.is_none() || header.is_reserved() {
            return Err(DecodeError::Protocol);
        }
        if !header.is_data() {
            return if header.is_short_and_whole() { Ok(()) } else { Err(DecodeError::Protocol) };
        }
        let before = match (self.message, header.continues()) {
            (None, false) => 0,
            (Some(before), true) => before,
            _ => return Err(DecodeError::Protocol),
        };
        let bytes = before.saturating_add(header.length);
        if bytes > limit as u64 {
            return Err(DecodeError::TooLarge);
        }
        self.message = (!header.is_final()).then_some(bytes);
        Ok(())
    }
}
