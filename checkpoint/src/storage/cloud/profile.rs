//! Profiles of Amazon's tools: `~/.aws/credentials` and `~/.aws/config`.
//!
//! # Format
//! Lines: empty; a comment behind `#` or `;`; `[section]`; `name = value`; and, indented, what belongs to
//! the line before and is not for us. In `credentials` a section is a profile; in `config` it is
//! `profile NAME`, or `default`. What `credentials` says goes before what `config` says.
//!
//! # Errors
//! They tell file and line, and never what stands there.

use std::collections::BTreeMap;
use std::fmt;

use alluvium_state_api::{Error, Result};

use crate::storage::{Environment, StorageEnv};

/// The longest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// Ways to credentials that a profile can name and that there is no support for.
const UNSUPPORTED: [&str; 4] = ["role_arn", "credential_process", "sso_session", "sso_start_url"];

/// What a profile says.
#[derive(Default)]
pub(super) struct Profile {
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) credentials: Option<Keys>,
    /// What it names instead of credentials.
    pub(super) unsupported: Option<&'static str>,
}

/// Credentials.
pub(super) struct Keys {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Reads the profile that `AWS_PROFILE` names, or `default`.
///
/// # Errors
/// `InvalidInput`: a file that cannot be read or is malformed; a profile that was named and is not there;
/// half a pair of credentials.
pub(super) fn load(env: &StorageEnv) -> Result<Profile> {
    let environment = &env.environment;
    let named = environment.get("AWS_PROFILE");
    let name = named.as_deref().unwrap_or("default");
    let credentials =
        read(environment, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", |section| {
            section == name
        })?;
    let config = read(environment, "AWS_CONFIG_FILE", ".aws/config", |section| {
        section.strip_prefix("profile ").is_some_and(|section| section.trim() == name)
            || (name == "default" && section == name)
    })?;
    if named.is_some() && credentials.is_none() && config.is_none() {
        return Err(Error::invalid_input(
            "the profile that AWS_PROFILE names is neither in the credentials file nor in the config \
             file of the AWS tools",
        ));
    }
    // Credentials are taken from one file, never a half from each.
    let (mut first, second) = (credentials.unwrap_or_default(), config.unwrap_or_default());
    if !first.contains_key("aws_access_key_id") && !first.contains_key("aws_secret_access_key") {
        first.remove("aws_session_token");
        first.extend(second.clone().into_iter().filter(|(key, _)| key.starts_with("aws_")));
    }
    for (key, value) in second.into_iter().filter(|(key, _)| !key.starts_with("aws_")) {
        first.entry(key).or_insert(value);
    }
    profile(first)
}

fn profile(mut values: BTreeMap<String, String>) -> Result<Profile> {
    let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
    let pair = (take("aws_access_key_id"), take("aws_secret_access_key"));
    let token = take("aws_session_token");
    let credentials = match pair {
        (Some(key), Some(secret)) => Some(Keys { key, secret, token }),
        (None, None) => None,
        (key, _) => {
            let missing = if key.is_none() { "aws_access_key_id" } else { "aws_secret_access_key" };
            return Err(Error::invalid_input(format!(
                "the profile has no {missing}, but its counterpart; give both or neither"
            )));
        }
    };
    let (region, endpoint_url) = (take("region"), take("endpoint_url"));
    let unsupported = UNSUPPORTED.into_iter().find(|name| values.contains_key(*name));
    Ok(Profile { region, endpoint_url, credentials, unsupported })
}

/// The values of the wanted section, where there is such a one.
fn read(
    environment: &Environment,
    variable: &str,
    beside_home: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<BTreeMap<String, String>>> {
    let home = || environment.get("HOME");
    let path = match environment.get(variable) {
        Some(path) => match (path.strip_prefix("~/"), home()) {
            (Some(rest), Some(home)) => format!("{home}/{rest}"),
            _ => path,
        },
        None => match home() {
            Some(home) => format!("{home}/{beside_home}"),
            None => return Ok(None),
        },
    };
    let refused = |what: &str| {
        Error::invalid_input(format!("the file of AWS profiles {what}")).with_path(path.as_str())
    };
    let bytes = environment
        .file(&path, MOST_BYTES + 1)
        .map_err(|error| refused("cannot be read").with_source(error))?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refused("is above 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_secret| refused("is no UTF-8 text"))?;
    section(&text, wanted)
        .map_err(|(line, what)| refused(&format!("is malformed: line {line} {what}")))
}

type Malformed = (usize, &'static str);

fn section(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<BTreeMap<String, String>>, Malformed> {
    let (mut found, mut inside, mut before) = (None, None, false);
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if !before {
                return Err((number, "is indented, but belongs to nothing"));
            }
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let name = rest.split_once(']').filter(|(_, rest)| {
                let rest = rest.trim_start();
                rest.is_empty() || rest.starts_with(['#', ';'])
            });
            let (name, _) = name.ok_or((number, "is no name of a section in [ ]"))?;
            inside = Some(wanted(name.trim()));
            before = false;
            if inside == Some(true) {
                found.get_or_insert_with(BTreeMap::new);
            }
            continue;
        }
        let (key, value) = content.split_once('=').ok_or((number, "has no ="))?;
        let ours = inside.ok_or((number, "stands before the first section"))?;
        before = true;
        let key = key.trim().to_ascii_lowercase();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if key.is_empty() || !key.chars().all(is_name) {
            return Err((number, "has no name before ="));
        }
        if let Some(values) = found.as_mut().filter(|_| ours)
            && values.insert(key, value.trim().to_owned()).is_some()
        {
            return Err((number, "sets something twice"));
        }
    }
    Ok(found)
}
