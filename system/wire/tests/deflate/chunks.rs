//! A WebSocket server above a decoder, in this process: it knows nothing of compression, and reads bytes that come in
//! chunks.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use system_wire::deflate::Decoder;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket};

/// Brings the chunks, one at a read, through a decoder.
struct Stream {
    decoder: Decoder,
    chunks: VecDeque<Vec<u8>>,
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.decoder.read(into).map_err(io::Error::other)?;
            if read > 0 {
                return Ok(read);
            }
            let Some(chunk) = self.chunks.pop_front() else { return Ok(0) };
            self.decoder.push(&chunk);
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that the server makes of them, and the error at the end. `limit`: bytes of a message.
pub(crate) fn server_reads(chunks: impl IntoIterator<Item = Vec<u8>>, limit: usize) -> (Vec<Message>, Error) {
    let stream = Stream { decoder: Decoder::new(limit), chunks: chunks.into_iter().collect() };
    let config = WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, error),
        }
    }
}
