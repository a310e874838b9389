//! As much of Redis's protocol (RESP2) as the harness needs to ask nodes things.

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RespValue {
    Text(String),
    Integer(i64),
    Nothing,
    List(Vec<RespValue>),
    Error(String),
}
