//! List elements as stores see them: framed by the engine, each with its length.
//!
//! Layout of one element: `u32` little-endian length, then that many bytes. A framed sequence is
//! therefore exactly as long as the *size* of the list by the contract (the sum of 4 + payload), so
//! that limits are checked without looking inside, and a store appends with one copy.

use crate::{Error, Result};

/// Bytes that each element costs besides its payload.
pub const ELEMENT_OVERHEAD: u64 = 4;

/// A borrowed, well-formed sequence of framed elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elements<'a> {
    framed: &'a [u8],
    count: u64,
}

impl<'a> Elements<'a> {
    /// Checks framed bytes that come from outside (a file, another process).
    ///
    /// # Errors
    /// [`Corrupted`](crate::ErrorKind::Corrupted) unless every element lies wholly inside.
    pub fn parse(framed: &'a [u8]) -> Result<Self> {
        let (mut rest, mut count) = (framed, 0u64);
        while !rest.is_empty() {
            let (_, after) = split_element(rest)
                .ok_or_else(|| Error::corrupted("list elements do not fill their frame"))?;
            rest = after;
            count += 1;
        }
        Ok(Self { framed, count })
    }

    /// So many elements that were checked before, or never came from outside: a store reads back what it was
    /// given without looking through it twice. Of bytes that are no elements, those are visited that
    /// [`iter`](Self::iter) finds before it comes to them.
    ///
    /// ```
    /// # use alluvium_state_api::{Elements, ElementsBuffer};
    /// # fn main() -> alluvium_state_api::Result<()> {
    /// let mut buffer = ElementsBuffer::default();
    /// buffer.push(b"one")?;
    /// let (kept, count) = (buffer.as_elements().framed().to_vec(), buffer.as_elements().count());
    /// assert_eq!(Elements::from_checked(&kept, count), Elements::parse(&kept)?);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub const fn from_checked(framed: &'a [u8], count: u64) -> Self {
        Self { framed, count }
    }

    /// The framed bytes.
    #[inline]
    pub const fn framed(&self) -> &'a [u8] {
        self.framed
    }

    /// How many elements there are.
    #[inline]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The size by the contract: the sum of 4 + payload, in bytes.
    #[inline]
    pub const fn size(&self) -> u64 {
        self.framed.len() as u64
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements without the first `count`.
    #[must_use]
    pub fn skip(&self, count: u64) -> Self {
        let mut iter = self.iter();
        let skipped = iter.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)).count();
        Self { framed: iter.rest, count: self.count.saturating_sub(skipped as u64) }
    }

    /// The same elements, each rewritten by a function that appends to an empty buffer.
    ///
    /// # Errors
    /// What the function returns, and as [`ElementsBuffer::push`].
    pub fn rewritten(
        &self,
        rewrite: &mut dyn FnMut(&[u8], &mut Vec<u8>) -> Result<()>,
    ) -> Result<ElementsBuffer> {
        let (mut elements, mut payload) = (ElementsBuffer::default(), Vec::new());
        for element in *self {
            payload.clear();
            rewrite(element, &mut payload)?;
            elements.push(&payload)?;
        }
        Ok(elements)
    }

    /// The payloads in order.
    #[inline]
    pub const fn iter(&self) -> ElementIter<'a> {
        ElementIter { rest: self.framed }
    }
}

impl<'a> IntoIterator for Elements<'a> {
    type Item = &'a [u8];
    type IntoIter = ElementIter<'a>;

    #[inline]
    fn into_iter(self) -> ElementIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Elements<'a> {
    type Item = &'a [u8];
    type IntoIter = ElementIter<'a>;

    #[inline]
    fn into_iter(self) -> ElementIter<'a> {
        self.iter()
    }
}

/// Iterates over the payloads of [`Elements`].
#[derive(Clone, Debug)]
pub struct ElementIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ElementIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (payload, rest) = split_element(self.rest)?;
        self.rest = rest;
        Some(payload)
    }
}

#[inline]
fn split_element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Builds [`Elements`]; reused from call to call, so that it does not allocate after warm-up.
#[derive(Debug, Default)]
pub struct ElementsBuffer {
    framed: Vec<u8>,
    count: u64,
}

impl ElementsBuffer {
    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.framed.clear();
        self.count = 0;
    }

    /// Appends one element whose payload `write` produces.
    ///
    /// # Errors
    /// What `write` returns, or [`InvalidInput`](crate::ErrorKind::InvalidInput) if the payload has
    /// 4 GiB or more. The buffer is then as before.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let start = self.framed.len();
        self.framed.extend_from_slice(&[0; 4]);
        let written = write(&mut self.framed).and_then(|()| self.seal(start));
        match written {
            Ok(()) => {
                self.count += 1;
                Ok(())
            }
            Err(error) => {
                self.framed.truncate(start);
                Err(error)
            }
        }
    }

    /// Appends one element.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if it has 4 GiB or more.
    pub fn push(&mut self, payload: &[u8]) -> Result<()> {
        self.push_with(|out| {
            out.extend_from_slice(payload);
            Ok(())
        })
    }

    /// Appends elements that are framed already.
    ///
    /// ```
    /// # use alluvium_state_api::ElementsBuffer;
    /// # fn main() -> alluvium_state_api::Result<()> {
    /// let (mut all, mut more) = (ElementsBuffer::default(), ElementsBuffer::default());
    /// all.push(b"one")?;
    /// more.push(b"two")?;
    /// all.extend(more.as_elements());
    /// assert_eq!(all.as_elements().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn extend(&mut self, elements: Elements<'_>) {
        self.framed.extend_from_slice(elements.framed);
        self.count = self.count.saturating_add(elements.count);
    }

    /// Bytes of memory that the buffer has.
    pub const fn capacity(&self) -> usize {
        self.framed.capacity()
    }

    fn seal(&mut self, start: usize) -> Result<()> {
        let payload = self.framed.len().saturating_sub(start + 4);
        let length = u32::try_from(payload).map_err(|_error| {
            Error::invalid_input(format!("a list element of {payload} bytes is 4 GiB or longer"))
        })?;
        if let Some(slot) = self.framed.get_mut(start..start + 4) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    /// The elements so far.
    pub fn as_elements(&self) -> Elements<'_> {
        Elements { framed: &self.framed, count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_size_is_four_plus_payload() {
        let mut buffer = ElementsBuffer::default();
        for payload in [&b"a"[..], b"", b"ccc"] {
            buffer.push(payload).unwrap();
        }
        let elements = buffer.as_elements();
        assert_eq!((elements.count(), elements.size()), (3, 4 + 1 + 4 + 4 + 3));
        assert_eq!(elements.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
        assert_eq!(Elements::parse(elements.framed()).unwrap(), elements);
        for cut in [1, 4, 6, elements.framed().len() - 1] {
            assert!(Elements::parse(&elements.framed()[..cut]).is_err());
        }
    }

    #[test]
    fn elements_are_rewritten_one_by_one() {
        let mut buffer = ElementsBuffer::default();
        for payload in [&b"a"[..], b"", b"ccc"] {
            buffer.push(payload).unwrap();
        }
        let twice = |old: &[u8], new: &mut Vec<u8>| -> Result<()> {
            new.extend_from_slice(&old.repeat(2));
            Ok(())
        };
        let rewritten = buffer.as_elements().rewritten(&mut { twice }).unwrap();
        let found: Vec<_> = rewritten.as_elements().into_iter().collect();
        assert_eq!(found, [&b"aa"[..], b"", b"cccccc"]);
        let failed = buffer.as_elements().rewritten(&mut |old, _| match old {
            b"" => Err(Error::incompatible("no")),
            _ => Ok(()),
        });
        assert_eq!(failed.unwrap_err().kind(), crate::ErrorKind::Incompatible);
    }

    #[test]
    fn a_failed_element_leaves_the_buffer_as_it_was() {
        let mut buffer = ElementsBuffer::default();
        buffer.push(b"kept").unwrap();
        let failed = buffer.push_with(|out| {
            out.push(1);
            Err(Error::invalid_input("no"))
        });
        assert!(failed.is_err());
        assert_eq!(buffer.as_elements().iter().collect::<Vec<_>>(), [b"kept"]);
    }
}
