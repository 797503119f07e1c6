//! What HDFS answers, as errors of a file system.
//!
//! # Invariants
//! 1. A kind that means something to callers (`NotFound`, `AlreadyExists`, `UnexpectedEof`, `Interrupted`
//!    ...) comes from the namenode's own exception only, never from a connection that broke: a request
//!    without an answer may have been done.
//! 2. Of an exception the first line is told, of a failed authentication nothing but that it failed.

use std::io::{Error, ErrorKind};

use hdfs_native::HdfsError;

/// `ELOOP`: a symbolic link, which is never followed.
const ELOOP: i32 = 40;

/// The longest text of an exception that is repeated.
const MAX_TEXT: usize = 300;

/// What `error` means for a file system.
#[cold]
pub(super) fn of(error: &HdfsError) -> Error {
    let (kind, text): (ErrorKind, String) = match error {
        HdfsError::RPCError(class, text) | HdfsError::FatalRPCError(class, text) => {
            return of_exception(class, text);
        }
        HdfsError::IOError(error) => (of_connection(error.kind()), format!("connection: {error}")),
        HdfsError::FileNotFound(_) => (ErrorKind::NotFound, "there is no such file".into()),
        HdfsError::AlreadyExists(text) => (ErrorKind::AlreadyExists, first_line(text)),
        HdfsError::IsADirectoryError(_) => (ErrorKind::IsADirectory, "it is a directory".into()),
        HdfsError::InvalidPath(text) => (ErrorKind::InvalidFilename, first_line(text)),
        HdfsError::ChecksumError => (ErrorKind::InvalidData, "a block's checksum is wrong".into()),
        HdfsError::OperationFailed(text) if text.contains("erasure-coded") => {
            let advice = "an erasure-coded file cannot be made durable; use a replicated directory \
                          (hdfs ec -setPolicy -replicate -path ..)";
            (ErrorKind::Unsupported, advice.into())
        }
        HdfsError::UnsupportedFeature(_) | HdfsError::UnsupportedErasureCodingPolicy(_) => (
            ErrorKind::Unsupported,
            "the client does not support what this file needs (an encryption zone, or a coding)"
                .into(),
        ),
        HdfsError::SASLError(_) | HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => {
            (ErrorKind::PermissionDenied, "the authentication failed; check the credentials".into())
        }
        HdfsError::DataTransferError(text)
        | HdfsError::OperationFailed(text)
        | HdfsError::InvalidArgument(text)
        | HdfsError::InternalError(text)
        | HdfsError::ErasureCodingError(text)
        | HdfsError::BlocksNotFound(text) => (ErrorKind::Other, first_line(text)),
        _ => (ErrorKind::Other, "an answer could not be understood".into()),
    };
    Error::new(kind, format!("HDFS: {text}"))
}

/// An error of a connection, without what a file system would mean by it.
fn of_connection(kind: ErrorKind) -> ErrorKind {
    match kind {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NotConnected
        | ErrorKind::TimedOut => kind,
        _ => ErrorKind::ConnectionAborted,
    }
}

fn of_exception(class: &str, text: &str) -> Error {
    let name = class.rsplit(['.', '$']).next().unwrap_or(class);
    let kind = match name {
        "FileNotFoundException" => ErrorKind::NotFound,
        "FileAlreadyExistsException"
        | "AlreadyBeingCreatedException"
        | "RecoveryInProgressException" => ErrorKind::AlreadyExists,
        "ParentNotDirectoryException" | "PathIsNotDirectoryException" => ErrorKind::NotADirectory,
        "PathIsNotEmptyDirectoryException" => ErrorKind::DirectoryNotEmpty,
        "PathComponentTooLongException" | "InvalidPathException" | "IllegalNameException" => {
            ErrorKind::InvalidFilename
        }
        "AccessControlException" | "AuthorizationException" => ErrorKind::PermissionDenied,
        "SaslException" | "GSSException" | "InvalidToken" => {
            return of(&HdfsError::NoSASLMechanism);
        }
        "UnresolvedPathException" => return Error::from_raw_os_error(ELOOP),
        "NSQuotaExceededException"
        | "DSQuotaExceededException"
        | "QuotaByStorageTypeExceededException"
        | "QuotaExceededException"
        | "MaxDirectoryItemsExceededException" => ErrorKind::QuotaExceeded,
        // The writer's file was removed, or somebody else has recovered it.
        "LeaseExpiredException" => ErrorKind::StaleNetworkFileHandle,
        "SafeModeException" | "RetriableException" | "StandbyException" => ErrorKind::ResourceBusy,
        "UnsupportedOperationException" | "RpcNoSuchMethodException" => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("HDFS: {name}: {}", first_line(text)))
}

/// Java sends the stack along.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let (first, rest) = line.split_at(line.floor_char_boundary(MAX_TEXT));
    if rest.is_empty() { first.to_owned() } else { format!("{first}...") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(class: &str) -> Error {
        of(&HdfsError::RPCError(class.into(), "first line\n\tat java.lang.Thread.run".into()))
    }

    #[test]
    fn exceptions_of_the_namenode_have_their_kinds() {
        for (class, kind) in [
            ("java.io.FileNotFoundException", ErrorKind::NotFound),
            ("org.apache.hadoop.fs.FileAlreadyExistsException", ErrorKind::AlreadyExists),
            ("org.apache.hadoop.fs.ParentNotDirectoryException", ErrorKind::NotADirectory),
            ("org.apache.hadoop.fs.PathIsNotEmptyDirectoryException", ErrorKind::DirectoryNotEmpty),
            (
                "org.apache.hadoop.hdfs.protocol.FSLimitException$PathComponentTooLongException",
                ErrorKind::InvalidFilename,
            ),
            ("org.apache.hadoop.security.AccessControlException", ErrorKind::PermissionDenied),
            ("javax.security.sasl.SaslException", ErrorKind::PermissionDenied),
            ("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", ErrorKind::QuotaExceeded),
            (
                "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException",
                ErrorKind::StaleNetworkFileHandle,
            ),
            ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", ErrorKind::ResourceBusy),
            ("java.io.IOException", ErrorKind::Other),
            ("", ErrorKind::Other),
            ("...$$", ErrorKind::Other),
        ] {
            let error = rpc(class);
            assert_eq!(error.kind(), kind, "{class}");
            assert!(!error.to_string().contains("java.lang.Thread"), "{error}");
        }
        let link = rpc("org.apache.hadoop.hdfs.protocol.UnresolvedPathException");
        assert_eq!(link.raw_os_error(), Some(ELOOP));
    }

    #[test]
    fn a_broken_connection_is_no_answer_of_a_file_system() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::UnexpectedEof,
            ErrorKind::Interrupted,
            ErrorKind::WriteZero,
            ErrorKind::InvalidInput,
            ErrorKind::Unsupported,
            ErrorKind::DirectoryNotEmpty,
            ErrorKind::PermissionDenied,
        ] {
            assert_eq!(of(&HdfsError::IOError(kind.into())).kind(), ErrorKind::ConnectionAborted);
        }
        let refused = of(&HdfsError::IOError(ErrorKind::ConnectionRefused.into()));
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn texts_are_cut_and_those_of_an_authentication_are_not_repeated() {
        let secret = "MARKED-SECRET";
        for error in [
            HdfsError::SASLError(secret.into()),
            HdfsError::RPCError("x.SecretManager$InvalidToken".into(), secret.into()),
            HdfsError::FatalRPCError("org.ietf.jgss.GSSException".into(), secret.into()),
        ] {
            let told = of(&error);
            assert_eq!(told.kind(), ErrorKind::PermissionDenied);
            assert!(!format!("{told} {told:?}").contains(secret));
        }
        let long = of(&HdfsError::OperationFailed("\u{e9}".repeat(1_000)));
        assert!(long.to_string().len() < MAX_TEXT + 20);
        let coded = HdfsError::OperationFailed("hsync of erasure-coded files".into());
        assert_eq!(of(&coded).kind(), ErrorKind::Unsupported);
    }
}
