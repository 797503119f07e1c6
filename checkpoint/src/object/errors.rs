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
    } else if has(&["SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken"]) {
        Some("the credentials are not accepted; check them")
    } else if has(&["AccessDenied", "403 Forbidden"]) {
        // Of a list the client does not tell it by the kind of its error.
        Some("access is denied; check the permissions")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store says of a refused list is advised about, and not repeated.
    #[test]
    fn refusals_are_told_in_our_words() {
        let cases = [
            ("<Code>SignatureDoesNotMatch</Code>", "credentials"),
            ("<Code>InvalidAccessKeyId</Code> for AKIASECRET", "credentials"),
            ("403 Forbidden: <Code>AccessDenied</Code>", "permissions"),
            ("<Code>NoSuchBucket</Code>", "no such bucket"),
            ("the connection was reset", "did not answer"),
        ];
        for (words, advice) in cases {
            let error = object_store::Error::Generic { store: "S3", source: words.into() };
            let told = failed("list", "key", &error);
            assert_eq!(told.kind(), ErrorKind::Unavailable);
            assert!(told.message().contains(advice), "{told}");
            assert!(!format!("{told:?}").contains("Code") && !format!("{told:?}").contains("AKIA"));
        }
    }
}
