//! One JSON object to fields, without a tree of values.
//!
//! Each value is looked at as raw text: a string is unescaped, `null` is an empty field, and
//! everything else (numbers, booleans, nested values) stays the text that the line has, so that
//! large numbers lose no digits. A name that occurs twice in one object is an error.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_rows::Names;

/// The values of one object, by column; reused from line to line.
#[derive(Debug)]
pub(super) struct Slots {
    text: String,
    spans: Vec<Option<(usize, usize)>>,
}

impl Slots {
    pub(super) fn new(columns: usize) -> Self {
        Self { text: String::new(), spans: vec![None; columns] }
    }

    /// Gives the text of every column in order, empty where there is none.
    pub(super) fn for_each(&self, mut give: impl FnMut(&str)) {
        for span in &self.spans {
            give(span.and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default());
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.spans.fill(None);
    }

    /// Takes over a raw value; an error tells of a string that cannot be unescaped.
    fn put(&mut self, column: usize, raw: &str) -> serde_json::Result<()> {
        let start = self.text.len();
        if let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            if inner.contains('\\') {
                self.text.push_str(&serde_json::from_str::<String>(raw)?);
            } else {
                self.text.push_str(inner);
            }
        } else if raw != "null" {
            self.text.push_str(raw);
        }
        if let Some(span) = self.spans.get_mut(column) {
            *span = Some((start, self.text.len()));
        }
        Ok(())
    }
}

/// Parses `line` into `slots`.
pub(super) fn fill(line: &str, names: &Names, slots: &mut Slots) -> serde_json::Result<()> {
    slots.clear();
    let mut deserializer = serde_json::Deserializer::from_str(line);
    deserializer.deserialize_map(FillVisitor { names, slots })?;
    deserializer.end()
}

/// Gives every name of the object in `line` to `see`.
pub(super) fn collect_names(line: &str, see: impl FnMut(&str)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    deserializer.deserialize_map(NamesVisitor { see })?;
    deserializer.end()
}

/// Hands a name on without allocating it.
struct Name<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Name<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Name<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

struct NamesVisitor<F> {
    see: F,
}

impl<'de, F: FnMut(&str)> Visitor<'de> for NamesVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Name(|name: &str| (self.see)(name)))?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct FillVisitor<'a> {
    names: &'a Names,
    slots: &'a mut Slots,
}

impl<'de> Visitor<'de> for FillVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { names, slots } = self;
        let mut guess = 0_usize;
        let find = |guess: usize, name: &str| {
            // Records mostly repeat the order of the first one.
            let expected = names.ordered.get(guess).is_some_and(|known| known == name);
            if expected { Some(guess) } else { names.by_name.get(name).copied() }
        };
        while let Some(column) = map.next_key_seed(Name(|name: &str| find(guess, name)))? {
            let Some(column) = column else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            guess = column.saturating_add(1);
            if slots.spans.get(column).is_some_and(Option::is_some) {
                let name = names.ordered.get(column).map(String::as_str).unwrap_or_default();
                return Err(A::Error::custom(format_args!("field {name:?} occurs twice")));
            }
            slots.put(column, map.next_value::<&RawValue>()?.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
