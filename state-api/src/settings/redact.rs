//! Keeps secrets out of what is printed.
//!
//! A key is secret if it contains one of the words below, whatever the case, or `sas` as a part. User and password of a
//! URL are blotted out under any key.

const SECRET_WORDS: [&str; 13] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "access-key",
    "accesskey",
    "access.key",
    "api-key",
    "apikey",
    "account.key",
    "private-key",
    "credential",
];

/// What stands for a secret.
const BLOT: &str = "******";

/// Whether the values of `key` must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    let mut parts = key.split(['.', '-']);
    parts.any(|part| part == "sas") || SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Where the credentials of an object store belong, if `key` is such: settings are logged and passed on.
pub(super) fn belongs_elsewhere(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let (first, _) = lower.strip_prefix("fs.").unwrap_or(&lower).split_once('.')?;
    let place = match first {
        "s3" | "s3a" | "s3n" => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use a profile in \
             ~/.aws/credentials, or a role"
        }
        "gs" | "gcs" => {
            "set GOOGLE_APPLICATION_CREDENTIALS in the environment, or use the machine's account"
        }
        "az" | "azure" | "abfs" | "abfss" => {
            "set AZURE_STORAGE_ACCOUNT_KEY in the environment, or use a managed identity"
        }
        _ => return None,
    };
    is_secret(key).then_some(place)
}

/// `value`, quoted, fit to be shown as the value of `key`.
pub(super) fn shown(key: &str, value: &str) -> String {
    if is_secret(key) {
        return BLOT.to_owned();
    }
    format!("{:?}", without_user(value))
}

/// Blots out `user:password@` after every `://`.
fn without_user(value: &str) -> String {
    let mut pieces = value.split("://");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push_str("://");
        let end = piece.find(['/', '?', '#', ' ', ',']).unwrap_or(piece.len());
        let (authority, rest) = piece.split_at_checked(end).unwrap_or((piece, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => out.extend([BLOT, "@", host]),
            None => out.push_str(authority),
        }
        out.push_str(rest);
    }
    out
}
