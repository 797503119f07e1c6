//! Codecs: hostile bytes, round trips, order, prefix-freedom. The first byte of an input chooses a type.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Draw;
use crate::codec::{Codec, Encode, EncodeKey, KeyCodec, Native, Postcard, Upgrade};
use crate::{ErrorKind, Result};

fn expect_corrupted<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error:?}");
            None
        }
    }
}

fn encoded<T, C: Encode<T>>(value: &T) -> Vec<u8> {
    let mut out = vec![7];
    C::encode(value, &mut out).unwrap();
    assert_eq!(out.remove(0), 7, "what was there stays there");
    out
}

/// Calls a generic function with the type that a number chooses.
macro_rules! with_type {
    ($draw:expr, $function:ident: $($type:ty),* $(,)?) => {{
        let calls: &[fn(&[u8])] = &[$($function::<$type>),*];
        calls[$draw.below(calls.len())]($draw.rest());
    }};
}

/// Native bytes are unique: what decodes would be written as the same bytes.
fn native<T>(bytes: &[u8])
where
    Native: Codec<T>,
{
    let viewed = expect_corrupted(<Native as Codec<T>>::view(bytes)).is_some();
    let decoded = expect_corrupted(<Native as Codec<T>>::decode(bytes));
    assert_eq!(viewed, decoded.is_some());
    if let Some(mut value) = decoded {
        assert_eq!(encoded::<T, Native>(&value), bytes);
        <Native as Codec<T>>::decode_into(bytes, &mut value).unwrap();
        assert_eq!(encoded::<T, Native>(&value), bytes);
        let width = <Native as Codec<T>>::schema().width;
        assert!(width.is_none_or(|width| bytes.len() == width as usize));
    }
}

/// Postcard may read longer forms of numbers; what it writes is stable.
fn postcard<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Some(value) = expect_corrupted(<Postcard as Codec<T>>::decode(bytes)) {
        let once = encoded::<T, Postcard>(&value);
        let again = <Postcard as Codec<T>>::decode(&once).unwrap();
        assert_eq!(again, value);
        assert_eq!(encoded::<T, Postcard>(&again), once);
    }
}

/// A migration reads hostile bytes, too.
fn upgrade(bytes: &[u8]) {
    type Widened = Upgrade<u32, Upgrade<u16, Native, Native>, Native>;
    for old in [<Native as Codec<u16>>::schema(), <Native as Codec<u32>>::schema()] {
        let mut out = Vec::new();
        let done = <Widened as Codec<u64>>::migrate(&old, bytes, &mut out);
        if expect_corrupted(done).is_some() {
            let value: u64 = <Widened as Codec<u64>>::decode(&out).unwrap();
            assert!(u32::try_from(value).is_ok());
        }
    }
}

type Record = (u32, String, Option<Vec<i64>>, bool, [u8; 3], f64);

type Choice = std::result::Result<i128, Option<Box<(String, u8)>>>;

/// Values of any codec.
pub fn codecs(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    match draw.below(4) {
        0 => with_type!(draw, postcard: u8, u64, i128, String, Vec<u8>, Vec<String>,
            (u16, Option<char>), Choice, Vec<Choice>, std::collections::BTreeMap<u8, String>),
        1 => upgrade(draw.rest()),
        _ => with_type!(draw, native: u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64,
            bool, char, (), [u8; 0], [u8; 5], String, Box<str>, Vec<u8>, Box<[u8]>, Option<u32>,
            Option<Option<String>>, (u8, String), (String, i64), (Vec<u8>, bool, char),
            (Option<String>, u8, (i8, f32), Vec<u8>)),
    }
    // Floats are unequal to themselves where they are NaN; their bytes are compared.
    if let Ok(value) = <Postcard as Codec<Record>>::decode(bytes) {
        let once = encoded::<Record, Postcard>(&value);
        let again = <Postcard as Codec<Record>>::decode(&once).unwrap();
        assert_eq!(encoded::<Record, Postcard>(&again), once);
    }
}

/// The key at the front of some bytes, and what follows it.
fn native_key<T>(bytes: &[u8])
where
    Native: KeyCodec<T>,
{
    if let Some((value, rest)) = expect_corrupted(<Native as KeyCodec<T>>::decode_key(bytes)) {
        let mut out = Vec::new();
        <Native as EncodeKey<T>>::encode_key(&value, &mut out).unwrap();
        out.extend_from_slice(rest);
        assert_eq!(out, bytes);
    }
}

/// Keys of any codec.
pub fn key_codecs(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    with_type!(draw, native_key: u8, u64, i32, u128, f64, bool, char, (), [u8; 5], String, Box<str>,
        Vec<u8>, Box<[u8]>, Option<String>, (String, Vec<u8>), (Option<u8>, String, i16),
        (u8, (String, bool), Option<()>, Vec<u8>));
}

fn ordered<T: Ord + Debug>(a: &T, b: &T)
where
    Native: KeyCodec<T>,
{
    let keys = [a, b].map(|value| {
        let mut out = Vec::new();
        <Native as EncodeKey<T>>::encode_key(value, &mut out).unwrap();
        out
    });
    let plain = [a, b].map(encoded::<T, Native>);
    assert_eq!(plain[0].cmp(&plain[1]), a.cmp(b), "{a:?} and {b:?}");
    assert_eq!(keys[0].cmp(&keys[1]), a.cmp(b), "{a:?} and {b:?} as keys");
    assert!(a == b || !keys[0].starts_with(&keys[1]), "{b:?} begins {a:?}");
    for (value, (plain, key)) in [a, b].into_iter().zip(plain.iter().zip(&keys)) {
        assert_eq!(&<Native as Codec<T>>::decode(plain).unwrap(), value);
        let (decoded, rest) = <Native as KeyCodec<T>>::decode_key(key).unwrap();
        assert_eq!((&decoded, rest.len()), (value, 0));
    }
}

/// Two values of a type: their encodings sort as they do, and neither begins the other.
pub fn ordered_codecs(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let which = draw.below(9);
    let lengths = [draw.below(8), draw.below(8)];
    let texts = lengths.map(|length| draw.exactly(length));
    let words = texts.each_ref().map(|text| String::from_utf8_lossy(text).into_owned());
    let numbers: [[u8; 16]; 2] = [draw.array(), draw.array()];
    let wide = numbers.map(i128::from_le_bytes);
    let narrow = numbers.map(|n| i64::from_le_bytes(*n.first_chunk().unwrap()));
    let small = numbers.map(|n| n[0].cast_signed());
    match which {
        0 => ordered(&wide[0], &wide[1]),
        1 => ordered(&wide[0].cast_unsigned(), &wide[1].cast_unsigned()),
        2 => ordered(&narrow[0], &narrow[1]),
        3 => ordered(&texts[0], &texts[1]),
        4 => ordered(&words[0], &words[1]),
        5 => both(|i| (texts[i].clone(), small[i])),
        6 => both(|i| (small[i], words[i].clone())),
        7 => both(|i| (small[i] > 0).then(|| texts[i].clone())),
        _ => {
            let floats = narrow.map(|bits| f64::from_bits(bits.cast_unsigned()));
            let bytes = floats.each_ref().map(encoded::<f64, Native>);
            assert_eq!(bytes[0].cmp(&bytes[1]), floats[0].total_cmp(&floats[1]));
            both(|i| (words[i].clone(), texts[i].clone(), small[i]));
        }
    }
}

fn both<T: Ord + Debug>(value: impl Fn(usize) -> T)
where
    Native: KeyCodec<T>,
{
    ordered(&value(0), &value(1));
}
