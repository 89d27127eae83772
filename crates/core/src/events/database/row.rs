//! A row of an answer.

pub(crate) use rusqlite::types::Value;

use crate::error::{Error, Result};
use crate::events::model::EventId;

/// The values of a row, in the order in which they were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Row(pub Vec<Value>);

impl Row {
    /// Takes a value out.
    pub fn take(&mut self, index: usize) -> Value {
        std::mem::replace(&mut self.0[index], Value::Null)
    }

    pub fn integer(&self, index: usize) -> Result<i64> {
        match &self.0[index] {
            Value::Integer(number) => Ok(*number),
            _ => Err(wrong()),
        }
    }

    /// None is what the database has for no value.
    pub fn optional_integer(&self, index: usize) -> Result<Option<i64>> {
        match &self.0[index] {
            Value::Null => Ok(None),
            _ => self.integer(index).map(Some),
        }
    }

    /// The number of a record, or of how many there are.
    pub fn number(&self, index: usize) -> Result<u64> {
        self.integer(index).map(i64::cast_unsigned)
    }

    pub fn text(&self, index: usize) -> Result<&str> {
        match &self.0[index] {
            Value::Text(text) => Ok(text),
            _ => Err(wrong()),
        }
    }

    pub fn blob(&self, index: usize) -> Result<&[u8]> {
        match &self.0[index] {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(wrong()),
        }
    }

    /// Bytes of this number.
    pub fn bytes<const N: usize>(&self, index: usize) -> Result<[u8; N]> {
        self.blob(index)?.try_into().map_err(|_| wrong())
    }

    pub fn id(&self, index: usize) -> Result<EventId> {
        self.bytes(index).map(EventId::from_bytes)
    }

    /// None is what the database has for no value.
    pub fn optional_id(&self, index: usize) -> Result<Option<EventId>> {
        match &self.0[index] {
            Value::Null => Ok(None),
            _ => self.id(index).map(Some),
        }
    }
}

fn wrong() -> Error {
    Error::damaged(
        "the database of events",
        "a value in it is of another kind than it must be",
    )
}
