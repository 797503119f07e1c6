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
