//! Reading the fields of a client's payload by hand, because a refusal must name the field and serde's errors do not
//! promise to.

use serde_json::{Map, Value};

use crate::Refusal;

/// The fields of one payload. Unknown ones are ignored.
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub(crate) fn of(payload: &'a Value) -> Result<Self, Refusal> {
        payload.as_object().map(Fields).ok_or_else(|| Refusal::invalid("payload", "must be an object"))
    }

    pub(crate) fn raw(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field)
    }

    pub(crate) fn required(&self, field: &str) -> Result<&'a str, Refusal> {
        self.optional(field)?.ok_or_else(|| Refusal::invalid(field, "is missing"))
    }

    /// `null` is not absence: the contract says string.
    pub(crate) fn optional(&self, field: &str) -> Result<Option<&'a str>, Refusal> {
        match self.0.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::invalid(field, "must be a string")),
        }
    }

    pub(crate) fn optional_with<T>(
        &self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        self.optional(field)?.map(parse).transpose()
    }
}
