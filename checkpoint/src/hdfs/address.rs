//! URLs of HDFS: which cluster, and which path in it.
//!
//! As in Hadoop a path stands as it is: nothing is decoded, and `?` and `#` belong to it.

use alluvium_state_api::{Error, Result};

/// `hdfs://` and an authority, and an absolute path without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `hdfs://host:port`, `hdfs://nameservice`, or `hdfs://` for the cluster of `fs.defaultFS`.
    pub(crate) cluster: String,
    /// `/` for the root.
    pub(crate) path: String,
    /// Both.
    pub(crate) url: String,
}

impl Address {
    /// # Errors
    /// `InvalidInput`. No message repeats the URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let Some(rest) = url.strip_prefix("hdfs://") else {
            return Err(Error::invalid_input("this is no URL that begins with hdfs://"));
        };
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        check_authority(authority)?;
        if path.contains('\0') {
            return Err(Error::invalid_input("the path contains a zero byte"));
        }
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| matches!(*part, "." | "..") || part.contains(':')) {
            return Err(Error::invalid_input(
                "a path of HDFS holds no components . and .. and no colon",
            ));
        }
        let (cluster, path) = (format!("hdfs://{authority}"), format!("/{}", parts.join("/")));
        let url = format!("{cluster}{path}");
        Ok(Self { cluster, path, url })
    }
}

fn check_authority(authority: &str) -> Result<()> {
    if authority.contains('@') {
        return Err(Error::invalid_input(
            "a URL of HDFS takes no user and no password; set HADOOP_USER_NAME, or use Kerberos",
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
                && (port.is_none() || !host.is_empty())
        }
    };
    let good_port = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if good_host && good_port {
        return Ok(());
    }
    Err(Error::invalid_input(
        "a URL of HDFS begins with hdfs://HOST:PORT/, hdfs://NAMESERVICE/ or hdfs:///",
    ))
}

#[cfg(test)]
mod tests {
    use alluvium_state_api::ErrorKind;

    use super::*;

    #[test]
    fn clusters_and_paths_are_told_apart() {
        for (url, cluster, path) in [
            ("hdfs://host:8020/a/b", "hdfs://host:8020", "/a/b"),
            ("hdfs://ha-service_1/a//b/", "hdfs://ha-service_1", "/a/b"),
            ("hdfs:///a", "hdfs://", "/a"),
            ("hdfs://host:8020", "hdfs://host:8020", "/"),
            ("hdfs://host:8020//", "hdfs://host:8020", "/"),
            ("hdfs://[::1]:8020/a", "hdfs://[::1]:8020", "/a"),
            ("hdfs://h/100%/a b?c#d/Gr\u{fc}\u{df}e", "hdfs://h", "/100%/a b?c#d/Gr\u{fc}\u{df}e"),
        ] {
            let parsed = Address::parse(url).unwrap();
            assert_eq!((&*parsed.cluster, &*parsed.path), (cluster, path), "{url}");
            assert_eq!(Address::parse(&parsed.url).unwrap(), parsed);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_and_not_repeated() {
        let secret = "MARKED-SECRET";
        for url in [
            format!("hdfs://{secret}@host:8020/a"),
            format!("hdfs://user:{secret}@host/a"),
            format!("hdfs://host:{secret}/a"),
            format!("hdfs://host/../{secret}"),
            format!("hdfs://host/a:{secret}"),
            format!("hdfs://host?token={secret}"),
            format!("hdfs://[{secret}]/a"),
            format!("{secret}://host/a"),
            "hdfs://host:0/a".into(),
            "hdfs://host:65536/a".into(),
            "hdfs://host:/a".into(),
            "hdfs://host:+1/a".into(),
            "hdfs://:8020/a".into(),
            "hdfs://host/a\0b".into(),
            "hdfs://h\u{f6}st/a".into(),
            "hdfs:/a".into(),
            String::new(),
        ] {
            let error = Address::parse(&url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
            assert!(!format!("{error} {error:?}").contains(secret));
        }
    }
}
