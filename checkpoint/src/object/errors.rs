//! Errors of an object store, told without its words.

use alluvium_state_api::{Error, ErrorKind};

/// What else is known of a failure, by words of protocols in its text, which itself is not shown.
fn known(error: &object_store::Error) -> Option<&'static str> {
    let text = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["redirect", "AuthorizationHeaderMalformed", "PermanentRedirect"]) {
        Some("the bucket is in another region; set s3.endpoint.region")
    } else if has(&["NoSuchBucket", "ContainerNotFound"]) {
        Some("there is no such bucket or container")
    } else if has(&["RequestTimeTooSkewed"]) {
        Some("the clock of this machine is wrong")
    } else {
        None
    }
}

/// An error of the store without its text: the body of a response can repeat credentials.
#[cold]
pub(super) fn failed(operation: &'static str, key: &str, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let (kind, what) = match error {
        Store::NotFound { .. } => (ErrorKind::NotFound, "there is no such object"),
        Store::InvalidPath { .. } => (ErrorKind::InvalidInput, "this is no name of an object"),
        Store::PermissionDenied { .. } => {
            (ErrorKind::Unavailable, "access is denied; check the permissions")
        }
        Store::Unauthenticated { .. } => (
            ErrorKind::Unavailable,
            "there are no credentials, or they are not accepted; check them",
        ),
        Store::NotSupported { .. } | Store::NotImplemented { .. } => {
            (ErrorKind::Unsupported, "the object store cannot do this")
        }
        Store::AlreadyExists { .. } | Store::Precondition { .. } => {
            (ErrorKind::Unavailable, "the object was changed meanwhile")
        }
        _ => (ErrorKind::Unavailable, "the object store failed or did not answer"),
    };
    let what = known(error).unwrap_or(what);
    Error::new(kind, format!("{operation} failed: {what}")).with_operation(operation).with_path(key)
}
