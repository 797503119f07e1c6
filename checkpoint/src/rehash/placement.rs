//! Where recorded keys belong: the placement hash that a snapshot names, over encoded keys.
//!
//! A store knows the type of its keys; here is only what the snapshot records. `xxh3/1` needs no more
//! than the bytes. Flink's hash is that of the key as a Java object, so the key's type has to be known:
//! it is read from the shape that the native codec records.

use alluvium_state_api::codec::{KeyCodec, Native};
use alluvium_state_api::schema::KeyIdentity;
use alluvium_state_api::{
    Error, FlinkHash, JavaHash, KeyHash, Result, StableHash, flink_murmur, hash_bytes,
    stable_placement,
};

/// Yields the placement value of encoded keys.
#[derive(Debug)]
pub(super) enum Placement {
    Stable,
    Flink(Shape),
}

/// Reads a key at the front of some bytes: its Java hash code, and what follows.
type Decode = fn(&[u8]) -> Result<(i32, &[u8])>;

/// The type of a key.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Single(Decode),
    Tuple(Vec<Shape>),
}

impl Placement {
    /// The placement that `identity` records.
    ///
    /// # Errors
    /// `Unsupported` for a hash that is not known here, and for Flink's over keys whose type is not.
    pub(super) fn of(identity: &KeyIdentity) -> Result<Self> {
        if identity.hash == <StableHash as KeyHash<[u8]>>::ID {
            return Ok(Self::Stable);
        }
        if identity.hash != <FlinkHash as KeyHash<u64>>::ID {
            return Err(Error::unsupported(format!(
                "keys were placed by {}, which is not known here; take the savepoint under another \
                 number of key groups from the job itself",
                identity.hash
            )));
        }
        let codec = &identity.codec;
        let known = (codec.codec == "native" && codec.version == 1).then(|| shape(&codec.shape));
        known.flatten().map(Self::Flink).ok_or_else(|| {
            Error::unsupported(format!(
                "keys were placed by {}, which needs the type of the keys, and that of {codec} is not \
                 known here",
                identity.hash
            ))
        })
    }

    /// The placement value of an encoded key.
    ///
    /// # Errors
    /// `Corrupted` where the bytes are no such key.
    pub(super) fn of_key(&self, key: &[u8]) -> Result<u32> {
        match self {
            Self::Stable => Ok(stable_placement(hash_bytes(key))),
            Self::Flink(shape) => match shape.java_hash(key)? {
                (code, []) => Ok(flink_murmur(code)),
                (_, rest) => Err(Error::corrupted(format!(
                    "a key of {} bytes has {} more than its type",
                    key.len(),
                    rest.len()
                ))),
            },
        }
    }
}

impl Shape {
    fn java_hash<'a>(&self, bytes: &'a [u8]) -> Result<(i32, &'a [u8])> {
        match self {
            Self::Single(decode) => decode(bytes),
            Self::Tuple(fields) => {
                let (mut code, mut rest) = (None, bytes);
                for field in fields {
                    let (next, after) = field.java_hash(rest)?;
                    let begun = code.map(|code: i32| code.wrapping_mul(31).wrapping_add(next));
                    (code, rest) = (Some(begun.unwrap_or(next)), after);
                }
                Ok((code.unwrap_or_default(), rest))
            }
        }
    }
}

/// The type that the native codec calls `text`, if it has a Java counterpart.
fn shape(text: &str) -> Option<Shape> {
    let Some(fields) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return single(text).map(Shape::Single);
    };
    let mut depth = 0_u32;
    let separates = |character: char| {
        depth = match character {
            '(' => depth.saturating_add(1),
            ')' => depth.saturating_sub(1),
            _ => depth,
        };
        character == ',' && depth == 0
    };
    let fields = fields.split(separates).map(shape).collect::<Option<Vec<_>>>()?;
    (2..=4).contains(&fields.len()).then_some(Shape::Tuple(fields))
}

fn single(text: &str) -> Option<Decode> {
    Some(match text {
        "bool" => decode::<bool>,
        "i8" => decode::<i8>,
        "i16" => decode::<i16>,
        "i32" => decode::<i32>,
        "i64" => decode::<i64>,
        "u8" => decode::<u8>,
        "u16" => decode::<u16>,
        "u32" => decode::<u32>,
        "u64" => decode::<u64>,
        "f32" => decode::<f32>,
        "f64" => decode::<f64>,
        "str+0" => decode::<String>,
        "bytes+0" => decode::<Vec<u8>>,
        _ => return None,
    })
}

fn decode<K: JavaHash>(bytes: &[u8]) -> Result<(i32, &[u8])>
where
    Native: KeyCodec<K>,
{
    let (key, rest) = <Native as KeyCodec<K>>::decode_key(bytes)?;
    Ok((key.java_hash(), rest))
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::codec::EncodeKey;
    use alluvium_state_api::{ErrorKind, MaxParallelism, schema::KeySpace};

    use super::*;

    /// The key space of `K` and this module agree about `keys`.
    fn agree<K, H: KeyHash<K>>(keys: &[K])
    where
        Native: KeyCodec<K>,
    {
        let groups = MaxParallelism::new(1000).unwrap();
        let space = KeySpace::of::<K, Native, H>(groups, groups.all()).unwrap();
        let placement = Placement::of(space.identity()).unwrap();
        for key in keys {
            let mut bytes = Vec::new();
            <Native as EncodeKey<K>>::encode_key(key, &mut bytes).unwrap();
            let found = groups.group_of(placement.of_key(&bytes).unwrap());
            assert_eq!(found, space.group_of(&bytes).unwrap(), "{}", space.identity().codec);
        }
    }

    fn both<K: JavaHash>(keys: &[K])
    where
        Native: KeyCodec<K>,
    {
        agree::<K, FlinkHash>(keys);
        agree::<K, StableHash>(keys);
    }

    #[test]
    fn keys_are_placed_as_stores_place_them() {
        both(&[false, true]);
        both(&[i8::MIN, -1, 0, 7]);
        both(&[i16::MIN, -1, 0, 7]);
        both(&[i32::MIN, -1, 0, 7, i32::MAX]);
        both(&[i64::MIN, -1, 0, 7, i64::MAX]);
        both(&[0_u8, 200]);
        both(&[0_u16, 60_000]);
        both(&[0_u32, u32::MAX]);
        both(&[0_u64, 1 << 40, u64::MAX]);
        both(&[0.0_f32, -1.5, f32::NAN]);
        both(&[0.0_f64, -1.5, f64::INFINITY]);
        both(&[String::new(), "hello".to_owned(), "a\0b".to_owned(), "\u{1f600}é".to_owned()]);
        both(&[Vec::new(), vec![0_u8, 255, 0]]);
        both(&[(1_u64, "one".to_owned()), (2, String::new())]);
        both(&[(1_i32, 2_i64, "three".to_owned()), (-1, -2, "(,)".to_owned())]);
        both(&[(1_u8, 2_u8, 3_u8, 4_u8)]);
        both(&[((1_u8, "a,b".to_owned()), (2_u32, 3_u64)), ((9, ")".to_owned()), (0, 0))]);
        // These have no Java counterpart, and need none.
        agree::<char, StableHash>(&['a', 'é']);
        agree::<Option<u64>, StableHash>(&[None, Some(7)]);
        agree::<u128, StableHash>(&[7]);
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        let groups = MaxParallelism::new(4).unwrap();
        let space = KeySpace::of::<u64, Native, FlinkHash>(groups, groups.all()).unwrap();
        let with = |change: &dyn Fn(&mut KeyIdentity)| {
            let mut identity = space.identity().clone();
            change(&mut identity);
            Placement::of(&identity)
        };
        for (refused, hint) in [
            (with(&|identity| identity.hash = "mine/3".into()), "mine/3"),
            (with(&|identity| identity.codec.shape = "char".into()), "char"),
            (with(&|identity| identity.codec.shape = "(u8)".into()), "(u8)"),
            (with(&|identity| identity.codec.shape = "(u8,u64?)".into()), "(u8,u64?)"),
            (with(&|identity| identity.codec.codec = "postcard".into()), "postcard"),
            (with(&|identity| identity.codec.version = 2), "native/2"),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(hint), "{error}");
        }
        let placement = with(&|_| {}).unwrap();
        for bytes in [&[0_u8; 7][..], &[0; 9]] {
            assert_eq!(placement.of_key(bytes).unwrap_err().kind(), ErrorKind::Corrupted);
        }
    }
}
