//! [`Access`]: one operation on the state of one key.
//!
//! Keys, map keys and windows are numbers; whoever plays decides how they are encoded. Values are told by
//! length and seed, so that a sequence is small whatever the size of the values, and their bytes are made
//! where they are needed.

/// Bytes that are determined by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Determines the bytes.
    pub seed: u64,
    /// How many they are.
    pub bytes: u32,
}

impl Blob {
    /// Puts the bytes into `out`, in the place of what is there.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        out.clear();
        let length = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let mut word = self.seed;
        while out.len() < length {
            let rest = (length - out.len()).min(8);
            out.extend_from_slice(word.to_le_bytes().get(..rest).unwrap_or_default());
            word = word.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1);
        }
    }
}

/// An operation on the state of a key. Each kind of state occurs once, without windows and in windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads the value.
    ValueGet,
    /// Sets the value.
    ValueSet(Blob),
    /// Removes the value.
    ValueClear,
    /// Adds to the sum, a reducing state.
    SumAdd(u64),
    /// Reads the sum.
    SumGet,
    /// Removes the sum.
    SumClear,
    /// Appends to the list.
    ListAdd(Blob),
    /// Appends so many elements at once, with seeds that follow one another.
    ListAddAll(Blob, u32),
    /// Replaces the list by so many elements.
    ListUpdate(Blob, u32),
    /// Reads all elements.
    ListGet,
    /// Removes the list.
    ListClear,
    /// Reads the value of a map key.
    MapGet(u64),
    /// Sets the value of a map key.
    MapInsert(u64, Blob),
    /// Removes a map key.
    MapRemove(u64),
    /// Reads all map keys with their values, in the order of the map keys.
    MapScan,
    /// Removes the map.
    MapClear,
    /// Merges the sum of another window into this window's. Only in windows.
    MergeSum(u64),
    /// Appends the list of another window to this window's. Only in windows.
    MergeList(u64),
}

impl Operation {
    /// Whether it changes something.
    pub const fn writes(self) -> bool {
        !matches!(
            self,
            Self::ValueGet | Self::SumGet | Self::ListGet | Self::MapGet(_) | Self::MapScan
        )
    }

    /// The kind of state that it is for: the first part of its name, but for merging.
    pub const fn state(self) -> &'static str {
        match self {
            Self::ValueGet | Self::ValueSet(_) | Self::ValueClear => "value",
            Self::SumAdd(_) | Self::SumGet | Self::SumClear | Self::MergeSum(_) => "sum",
            Self::MapGet(_)
            | Self::MapInsert(..)
            | Self::MapRemove(_)
            | Self::MapScan
            | Self::MapClear => "map",
            _ => "list",
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ValueGet => "value.get",
            Self::ValueSet(_) => "value.set",
            Self::ValueClear => "value.clear",
            Self::SumAdd(_) => "sum.add",
            Self::SumGet => "sum.get",
            Self::SumClear => "sum.clear",
            Self::ListAdd(_) => "list.add",
            Self::ListAddAll(..) => "list.add-all",
            Self::ListUpdate(..) => "list.update",
            Self::ListGet => "list.get",
            Self::ListClear => "list.clear",
            Self::MapGet(_) => "map.get",
            Self::MapInsert(..) => "map.insert",
            Self::MapRemove(_) => "map.remove",
            Self::MapScan => "map.scan",
            Self::MapClear => "map.clear",
            Self::MergeSum(_) => "merge.sum",
            Self::MergeList(_) => "merge.list",
        }
    }
}

/// One operation on the state of one key, in a window or in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The key's number.
    pub key: u64,
    /// The window, by its number; `None` for the states without windows.
    pub window: Option<u64>,
    /// What is done.
    pub operation: Operation,
}

impl Access {
    /// An access without a window.
    pub const fn of(key: u64, operation: Operation) -> Self {
        Self { key, window: None, operation }
    }

    /// An access in a window.
    pub const fn within(key: u64, window: u64, operation: Operation) -> Self {
        Self { key, window: Some(window), operation }
    }
}

/// Folds what is read into a digest that depends on the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fold(u64);

impl Fold {
    /// Adds a number.
    #[inline]
    pub const fn number(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Adds bytes: their number, and the first and the last of them. All of them would cost more than many
    /// an access; that values are whole is for the conformance kit.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let first = bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        let last = bytes.last_chunk().map_or(1, |last| u64::from_le_bytes(*last));
        self.number(bytes.len() as u64 ^ first ^ last.rotate_left(32));
    }

    /// Adds that nothing was there.
    #[inline]
    pub const fn nothing(&mut self) {
        self.number(0x6e6f_7468_696e_6721);
    }

    /// The digest.
    pub const fn digest(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_have_their_length_and_differ_by_seed() {
        let bytes = |seed, bytes| {
            let mut out = vec![9; 3];
            Blob { seed, bytes }.write(&mut out);
            out
        };
        for length in [0, 1, 7, 8, 9, 1000] {
            assert_eq!(bytes(5, length).len(), length as usize);
            assert_eq!(bytes(5, length), bytes(5, length));
        }
        assert_ne!(bytes(5, 100), bytes(6, 100));
        assert_ne!(bytes(5, 100)[..8], bytes(5, 100)[8..16]);
    }

    #[test]
    fn a_digest_depends_on_order_and_on_what_is_there() {
        let fold = |numbers: &[&[u8]]| {
            let mut fold = Fold::default();
            for bytes in numbers {
                fold.bytes(bytes);
            }
            fold.digest()
        };
        assert_ne!(fold(&[b"a", b"bc"]), fold(&[b"bc", b"a"]));
        assert_ne!(fold(&[b"12345678"]), fold(&[b"12345679"]));
        assert_ne!(fold(&[b"1234567890"]), fold(&[b"123456789"]));
        let mut nothing = Fold::default();
        nothing.nothing();
        assert_ne!(nothing.digest(), Fold::default().digest());
    }
}
