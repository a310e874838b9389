//! Reading an ack as a client does: either what was asked for, or `{ "error": … }`.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Refusal;

/// An answer that is neither: not a node of this contract, or a broken one.
#[derive(Debug, thiserror::Error)]
#[error("answer is unreadable: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

/// The outer error means that nothing is known of what was asked.
pub fn read_answer<T: DeserializeOwned>(mut answer: Value) -> Result<Result<T, Refusal>, Unreadable> {
    match answer.get_mut("error") {
        Some(error) => Ok(Err(serde_json::from_value(error.take())?)),
        None => Ok(Ok(serde_json::from_value(answer)?)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{Code, Sent};

    #[test]
    fn an_ack_is_told_from_a_refusal_and_from_nonsense() {
        let sent = read_answer::<Sent>(json!({ "id": "i", "offset": "00000000000100000000", "timestamp": 1 }));
        assert_eq!(sent.unwrap().unwrap().timestamp, 1);
        let refused =
            read_answer::<Sent>(Refusal::messages_limited(10, Duration::from_millis(5)).answer()).unwrap().unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (Code::RateLimited, Some(5)));
        for nonsense in
            [json!(null), json!([]), json!({}), json!({ "error": true }), json!({ "id": "a b", "timestamp": 1 })]
        {
            assert!(read_answer::<Sent>(nonsense).is_err());
        }
    }
}
