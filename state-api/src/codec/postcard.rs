//! [`Postcard`]: any serde type, in the postcard 1 wire format.
//!
//! The format (documented and frozen by the `postcard` crate) has no field names: a type that
//! changes needs a new `VERSION`, and [`Upgrade`](super::Upgrade) to read old state.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Encode};
use crate::schema::CodecSchema;
use crate::{Error, Result};

/// Encodes serde types with postcard. `VERSION` is the version of the *type*: raise it whenever the
/// type's fields change.
///
/// Types must serialize deterministically: a `BTreeMap` does, a `HashMap` does not.
///
/// ```
/// use alluvium_state_api::ValueDescriptor;
/// use alluvium_state_api::codec::Postcard;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { id: u64, items: Vec<String> }
///
/// const ORDER: ValueDescriptor<Order, Postcard<1>> = ValueDescriptor::new("order").with_codec();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard<const VERSION: u32 = 1>;

impl<T: Serialize, const VERSION: u32> Encode<T> for Postcard<VERSION> {
    fn encode(value: &T, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        postcard::to_extend(value, Tail(out)).map(drop).map_err(|error| {
            out.truncate(start);
            Error::invalid_input("the value has no postcard encoding").with_source(error)
        })
    }
}

/// Appends to a borrowed buffer, which is still there after an error.
struct Tail<'a>(&'a mut Vec<u8>);

impl Extend<u8> for Tail<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

impl<T: Serialize + DeserializeOwned, const VERSION: u32> Codec<T> for Postcard<VERSION> {
    type View<'a> = T;

    fn schema() -> CodecSchema {
        CodecSchema {
            codec: "postcard".into(),
            version: 1,
            shape: format!("type version {VERSION}").into(),
            width: None,
        }
    }

    fn view(bytes: &[u8]) -> Result<T> {
        <Self as Codec<T>>::decode(bytes)
    }

    fn decode(bytes: &[u8]) -> Result<T> {
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(Error::corrupted(format!(
                "{} bytes follow a postcard value of {} bytes",
                rest.len(),
                bytes.len() - rest.len()
            ))),
            Err(error) => {
                Err(Error::corrupted("bytes are no postcard encoding of the type")
                    .with_source(error))
            }
        }
    }
}
