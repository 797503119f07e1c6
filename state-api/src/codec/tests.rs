//! Round trips, order, prefix-freedom and hostile bytes of the provided codecs.

use std::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::ErrorKind;

fn plain<T>(value: &T) -> Vec<u8>
where
    Native: Encode<T>,
{
    let mut out = Vec::new();
    <Native as Encode<T>>::encode(value, &mut out).unwrap();
    out
}

fn key<T>(value: &T) -> Vec<u8>
where
    Native: EncodeKey<T>,
{
    let mut out = Vec::new();
    Native::encode_key(value, &mut out).unwrap();
    out
}

fn check_pair<T: PartialOrd + PartialEq + Debug>(a: &T, b: &T)
where
    Native: KeyCodec<T>,
{
    let (plain_a, plain_b, key_a, key_b) = (plain(a), plain(b), key(a), key(b));
    assert_eq!(&<Native as Codec<T>>::decode(&plain_a).unwrap(), a);
    assert_eq!(Some(plain_a.cmp(&plain_b)), a.partial_cmp(b), "plain order of {a:?}, {b:?}");
    assert_eq!(Some(key_a.cmp(&key_b)), a.partial_cmp(b), "key order of {a:?}, {b:?}");
    if a != b {
        assert!(!key_a.starts_with(&key_b), "{b:?} is a prefix of {a:?}");
    }
    let mut followed = key_a.clone();
    followed.extend_from_slice(b"rest");
    let (decoded, rest) = <Native as KeyCodec<T>>::decode_key(&followed).unwrap();
    assert_eq!((&decoded, rest), (a, &b"rest"[..]));
    if let Some(width) = <Native as Codec<T>>::schema().width {
        assert_eq!(plain_a.len(), width as usize);
    }
}

proptest! {
    #[test]
    fn integers_round_trip_and_sort(a: i64, b: i64, c: u16, d: u16, e: i8, f: i8, g: u128, h: u128) {
        check_pair(&a, &b);
        check_pair(&c, &d);
        check_pair(&e, &f);
        check_pair(&g, &h);
    }

    #[test]
    fn the_other_integers_do_so_too(a: i16, b: i16, c: i128, d: i128, e: [u8; 3], f: [u8; 3]) {
        check_pair(&a, &b);
        check_pair(&c, &d);
        check_pair(&e, &f);
    }

    #[test]
    fn short_floats_round_trip_and_sort(a in any::<f32>(), b in any::<f32>()) {
        let (bytes_a, bytes_b) = (plain(&a), plain(&b));
        prop_assert_eq!(<Native as Codec<f32>>::decode(&bytes_a).unwrap().to_bits(), a.to_bits());
        prop_assert_eq!(bytes_a.cmp(&bytes_b), a.total_cmp(&b));
    }

    #[test]
    fn floats_round_trip_and_sort(a in any::<f64>(), b in any::<f64>()) {
        let (bytes_a, bytes_b) = (plain(&a), plain(&b));
        prop_assert_eq!(<Native as Codec<f64>>::decode(&bytes_a).unwrap().to_bits(), a.to_bits());
        prop_assert_eq!(bytes_a.cmp(&bytes_b), a.total_cmp(&b));
    }

    #[test]
    fn text_round_trips_and_sorts(
        a in proptest::collection::vec(0u8..3, 0..6), b in proptest::collection::vec(0u8..3, 0..6),
        c in "[\0a\u{e9}]{0,5}", d in "[\0a\u{e9}]{0,5}",
    ) {
        check_pair(&a, &b);
        check_pair(&c, &d);
        check_pair(&(a.clone(), 7u32), &(b.clone(), 7u32));
        check_pair(&(c, Some(a)), &(d, Some(b)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        fn hostile<T>(bytes: &[u8]) where Native: KeyCodec<T> {
            for error in [
                <Native as Codec<T>>::decode(bytes).err(),
                <Native as KeyCodec<T>>::decode_key(bytes).err(),
            ].into_iter().flatten() {
                assert_eq!(error.kind(), ErrorKind::Corrupted);
            }
        }
        hostile::<u64>(&bytes);
        hostile::<bool>(&bytes);
        hostile::<char>(&bytes);
        hostile::<String>(&bytes);
        hostile::<(String, Option<Vec<u8>>, i16)>(&bytes);
        hostile::<[u8; 5]>(&bytes);
        let decoded: Result<Vec<String>> = Postcard::<1>::decode(&bytes);
        drop(decoded);
    }

    #[test]
    fn postcard_round_trips(value in proptest::collection::vec((any::<u32>(), ".{0,8}"), 0..8)) {
        let mut out = vec![9];
        Postcard::<1>::encode(&value, &mut out).unwrap();
        let decoded: Vec<(u32, String)> = Postcard::<1>::decode(&out[1..]).unwrap();
        prop_assert_eq!(decoded, value);
    }
}

#[test]
fn views_borrow() {
    let bytes = plain(&"text".to_owned());
    let view: &str = <Native as Codec<String>>::view(&bytes).unwrap();
    assert_eq!(view.as_ptr(), bytes.as_ptr());
}

#[test]
fn views_yield_what_decoding_yields() {
    let view = |bytes: &[u8]| <Native as Codec<Option<u16>>>::view(bytes);
    assert_eq!(view(&plain(&Some(7_u16))).unwrap(), Some(7));
    assert_eq!(view(&plain(&None::<u16>)).unwrap(), None);
    for wrong in [&[][..], &[0, 1], &[2], &[1, 0]] {
        assert_eq!(view(wrong).unwrap_err().kind(), ErrorKind::Corrupted);
    }
    let pair = plain(&(3_u8, "three".to_owned()));
    assert_eq!(<Native as Codec<(u8, String)>>::view(&pair).unwrap(), (3, "three"));
    assert_eq!(<Native as Codec<u32>>::view(&plain(&9_u32)).unwrap(), 9);
}

#[test]
fn nothing_is_encoded_as_nothing() {
    assert_eq!((plain(&()), key(&())), (Vec::new(), Vec::new()));
    assert_eq!(<Native as Codec<()>>::schema().width, Some(0));
    assert_eq!(<Native as KeyCodec<()>>::key_schema(), <Native as Codec<()>>::schema());
    assert!(<Native as Codec<()>>::view(&[]).is_ok());
    assert_eq!(<Native as KeyCodec<()>>::decode_key(b"rest").unwrap(), ((), &b"rest"[..]));
    let refused = <Native as Codec<()>>::decode(&[0]);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupted);
}

#[test]
fn boxed_texts_have_the_bytes_of_owned_ones() {
    let (text, bytes) = ("tëxt", &b"by\0tes"[..]);
    assert_eq!(<Native as Codec<Box<str>>>::schema(), <Native as Codec<String>>::schema());
    let encoded = plain(&text.to_owned());
    assert_eq!(&*<Native as Codec<Box<str>>>::decode(&encoded).unwrap(), text);
    assert!(<Native as Codec<Box<str>>>::decode(&[0xff]).is_err());
    assert_eq!(&*<Native as Codec<Box<[u8]>>>::decode(bytes).unwrap(), bytes);
    let encoded = key(&bytes.to_vec());
    let (decoded, rest) = <Native as KeyCodec<Box<[u8]>>>::decode_key(&encoded).unwrap();
    assert_eq!((&*decoded, rest), (bytes, &[][..]));
}

#[test]
fn codecs_without_a_migration_refuse_one() {
    let old = <Native as Codec<u16>>::schema();
    let refused = <Native as Codec<u64>>::migrate(&old, &[0, 1], &mut Vec::new());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Incompatible);
}

#[test]
fn values_that_serde_refuses_leave_the_buffer_as_it_was() {
    struct Refuses;
    impl serde::Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
            use serde::ser::{Error, SerializeTuple};
            to.serialize_tuple(2)?.serialize_element(&7_u8)?;
            Err(S::Error::custom("no"))
        }
    }
    let mut out = vec![1];
    let refused = <Postcard as Encode<Refuses>>::encode(&Refuses, &mut out);
    assert_eq!((refused.unwrap_err().kind(), out), (ErrorKind::InvalidInput, vec![1]));
}

#[test]
fn trailing_bytes_are_refused() {
    let decoded: Result<u8> = Postcard::<1>::decode(&[1, 2]);
    assert_eq!(decoded.unwrap_err().kind(), ErrorKind::Corrupted);
    assert!(<Native as Codec<(u8, u8)>>::decode(&[1, 2, 3]).is_err());
}

#[test]
fn upgrades_chain() {
    type First = Upgrade<u16, Native, Native>;
    type Second = Upgrade<u32, First, Native>;
    let old = <Native as Codec<u16>>::schema();
    assert_eq!(<Second as Codec<u64>>::resolve(&old), Compatibility::AfterMigration);
    let mut out = Vec::new();
    <Second as Codec<u64>>::migrate(&old, &plain(&513u16), &mut out).unwrap();
    assert_eq!(<Second as Codec<u64>>::decode(&out).unwrap(), 513);
    let foreign = <Native as Codec<String>>::schema();
    assert!(matches!(<Second as Codec<u64>>::resolve(&foreign), Compatibility::Incompatible(_)));
}
