//! HDFS as a file system for [`LocalStorage`].
//!
//! # Role
//! HDFS has what local storage is written over: creation and renaming that fail where the name is taken,
//! `hsync`, lists, ranged reads. So checkpoints there are kept by [`LocalStorage`] over [`HdfsFs`], with
//! the layout, the order of publication and the rules of deletion that it has in a directory.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use alluvium_checkpoint::hdfs::{HdfsFs, HdfsOptions};
//! use alluvium_state_api::random::OsRandomness;
//! use alluvium_state_api::snapshot::FileName;
//! use alluvium_state_api::storage::local::{LocalOptions, LocalStorage};
//!
//! # fn main() -> alluvium_state_api::Result<()> {
//! let fs = Arc::new(HdfsFs::connect("hdfs://namenode:8020", HdfsOptions::default())?);
//! let (job, path) = (FileName::new("word-count")?, Path::new("/checkpoints"));
//! let storage = LocalStorage::open(fs, Arc::new(OsRandomness), path, &job, LocalOptions::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! [`open_storage`](crate::open_storage) does so for `hdfs://` in `state.checkpoints.dir`.
//!
//! # What HDFS promises
//! 1. The namenode answers a change of names after it is in its edit log, so
//!    [`sync_directory`](FileSystem::sync_directory) has nothing to do.
//! 2. A file that a killed writer left is *under construction*: others see what was synced, mostly
//!    nothing. It can be removed at once, which ends its lease; nobody reads it, since no metadata names
//!    a file before it was synced.
//! 3. A request whose answer was lost may have been done, or be done later. The client does not repeat
//!    changes, and the error says that the connection broke; publication copes with that (see the
//!    `publish` module of local storage).
//!
//! # What it lacks
//! * Second names: a claimed file is copied.
//! * An exclusive creation of directories: [`create_dir`](FileSystem::create_dir) looks first. Nothing
//!   rests on it: directories of savepoints have random names, and publication is exclusive.
//! * Times of names: a file is as old as its creation until it is closed, and a rename makes nothing
//!   younger. The age floor of orphans must be longer than a file is written.
//!
//! # Credentials
//! As the client has them: `HADOOP_CONF_DIR` names the configuration with nameservices and security,
//! `HADOOP_USER_NAME` the user where there is no Kerberos; with it, the ticket cache or keytab of the
//! environment through `libgssapi`, which is loaded at run time, and `HADOOP_TOKEN_FILE_LOCATION`.
//!
//! [`LocalStorage`]: alluvium_state_api::storage::local::LocalStorage

mod address;
mod errors;
mod file;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use alluvium_state_api::vfs::{
    DirectoryEntry, EntryKind, FileSystem, Metadata, ReadFile, WriteFile,
};
use alluvium_state_api::{Error, Result};
use hdfs_native::client::FileStatus;
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};

pub(crate) use address::Address;
use file::{HdfsReader, HdfsWriter};

use crate::executor::Executor;

/// Rights of directories and files, before the cluster's own rules.
const DIRECTORY_MODE: u32 = 0o755;

/// How an [`HdfsFs`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HdfsOptions {
    /// How long one request may take, with all that the client tries in it: other namenodes, other
    /// datanodes. Default 2 minutes.
    pub timeout: Duration,
}

impl Default for HdfsOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(2) }
    }
}

impl HdfsOptions {
    /// The same with another limit for one request.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A cluster's file system. Clones share the connection. See the module.
#[derive(Clone)]
pub struct HdfsFs {
    connection: Arc<Connection>,
    cluster: String,
}

/// What files go on with.
struct Connection {
    client: Client,
    executor: Executor,
    timeout: Duration,
    /// The block size of new files, which the client asks for once.
    block_bytes: OnceLock<u64>,
}

impl fmt::Debug for HdfsFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsFs").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Connection {
    /// Runs `request` on threads of our own, within the limit.
    fn ask<T: Send + 'static>(
        &self,
        request: impl Future<Output = hdfs_native::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let limit = self.timeout;
        let answer = self.executor.run(async move { tokio::time::timeout(limit, request).await });
        match answer {
            Ok(Ok(answer)) => answer.map_err(|error| errors::of(&error)),
            Ok(Err(_elapsed)) => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!(
                    "HDFS: no answer within {} s; the request may be done yet",
                    limit.as_secs()
                ),
            )),
            Err(gone) => Err(io::Error::other(format!("HDFS: {}", gone.message()))),
        }
    }
}

impl HdfsFs {
    /// The file system of the cluster that `url` names; a path in it is not looked at. Nothing is asked
    /// of the cluster yet.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is none, and where the client's configuration does not say what
    /// namenodes there are; `Unavailable` where threads cannot be started.
    pub fn connect(url: &str, options: HdfsOptions) -> Result<Self> {
        let cluster = Address::parse(url)?.cluster;
        let executor = Executor::default();
        let handle = executor.handle()?;
        // `hdfs://` alone is no URL to the client.
        let named = format!("{cluster}/");
        let build =
            async move { ClientBuilder::new().with_url(named).with_io_runtime(handle).build() };
        let client = executor.run(build)?.map_err(|error| cannot_begin(&error))?;
        let (timeout, block_bytes) = (options.timeout, OnceLock::new());
        let connection = Arc::new(Connection { client, executor, timeout, block_bytes });
        Ok(Self { connection, cluster })
    }

    /// Runs `request` with the client and the text of `path`.
    fn ask<T, F>(&self, path: &Path, request: impl FnOnce(Client, String) -> F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = hdfs_native::Result<T>> + Send + 'static,
    {
        self.connection.ask(request(self.connection.client.clone(), text(path)?))
    }

    fn status(&self, path: &Path) -> io::Result<FileStatus> {
        self.ask(path, |client, path| async move { client.get_file_info(&path).await })
    }

    /// The error of an operation on a file, where it may be that it is a directory.
    fn explain(&self, path: &Path, error: io::Error) -> io::Error {
        let unclear = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Other);
        match self.status(path) {
            Ok(found) if unclear && found.isdir => ErrorKind::IsADirectory.into(),
            _ => error,
        }
    }

    fn remove(&self, path: &Path, directory: bool) -> io::Result<()> {
        // The namenode removes either, so one looks before.
        match (self.status(path)?.isdir, directory) {
            (true, false) => return Err(ErrorKind::IsADirectory.into()),
            (false, true) => return Err(ErrorKind::NotADirectory.into()),
            _ => {}
        }
        let removed =
            self.ask(path, |client, path| async move { client.delete(&path, false).await })?;
        if removed { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn move_to(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let to = text(to)?;
        self.ask(from, |client, from| async move { client.rename(&from, &to, replace).await })
    }

    fn writer(
        &self,
        path: &Path,
        writer: hdfs_native::file::FileWriter,
        block_bytes: u64,
        length: u64,
    ) -> io::Result<Box<dyn WriteFile>> {
        let connection = Arc::clone(&self.connection);
        Ok(Box::new(HdfsWriter::new(connection, text(path)?, writer, block_bytes, length)))
    }
}

impl FileSystem for HdfsFs {
    fn url_prefix(&self) -> &str {
        &self.cluster
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let options = WriteOptions::default().overwrite(false).create_parent(false);
        let writer =
            self.ask(path, |client, path| async move { client.create(&path, options).await })?;
        let known = self.connection.block_bytes.get().copied();
        match known.map_or_else(|| self.status(path).map(|found| block_bytes_of(&found)), Ok) {
            Ok(bytes) => {
                let bytes = *self.connection.block_bytes.get_or_init(|| bytes);
                self.writer(path, writer, bytes, 0)
            }
            Err(error) => {
                // Closes the file.
                drop(self.writer(path, writer, u64::MAX, 0));
                Err(error)
            }
        }
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let found = self.status(path)?;
        if found.isdir {
            return Err(ErrorKind::IsADirectory.into());
        }
        let writer = self.ask(path, |client, path| async move { client.append(&path).await })?;
        self.writer(path, writer, block_bytes_of(&found), found.length as u64)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let opened = self.ask(path, |client, path| async move { client.read(&path).await });
        let reader = opened.map_err(|error| self.explain(path, error))?;
        Ok(Box::new(HdfsReader::new(Arc::clone(&self.connection), reader)))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.status(path).map(|found| metadata_of(&found))
    }

    fn modified_ms(&self, path: &Path) -> io::Result<Option<u64>> {
        self.status(path).map(|found| Some(found.modification_time))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let listed =
            self.ask(path, |client, path| async move { client.list_status(&path, false).await })?;
        let directory = text(path)?;
        let mut entries = Vec::with_capacity(listed.len());
        for found in listed {
            // The list of a file is the file itself.
            let below = found.path.strip_prefix(directory.trim_end_matches('/'));
            match below.and_then(|name| name.strip_prefix('/')) {
                Some(name) if !name.is_empty() => entries
                    .push(DirectoryEntry { name: name.into(), metadata: metadata_of(&found) }),
                _ => return Err(ErrorKind::NotADirectory.into()),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        // The namenode calls a directory that is there a success.
        match self.status(path) {
            Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Hadoop 3 on what is below a file.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
        self.ask(
            path,
            |client, path| async move { client.mkdirs(&path, DIRECTORY_MODE, false).await },
        )
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        // What the namenode has answered is in its edit log.
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_to(from, to, true)
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_to(from, to, false)
    }

    fn hard_link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.remove(path, false)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.remove(path, true)
    }
}

fn block_bytes_of(found: &FileStatus) -> u64 {
    found.blocksize.filter(|bytes| *bytes > 0).unwrap_or(u64::MAX)
}

fn metadata_of(found: &FileStatus) -> Metadata {
    if found.isdir {
        Metadata { kind: EntryKind::Directory, length: 0 }
    } else {
        Metadata { kind: EntryKind::File, length: found.length as u64 }
    }
}

/// A path as the namenode takes it.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    for component in path.components() {
        match component {
            Component::RootDir if text.is_empty() => {}
            Component::Normal(name) if path.is_absolute() => {
                let name = name.to_str().filter(|name| !name.contains('\0'));
                let name = name.ok_or(ErrorKind::InvalidFilename)?;
                text.push('/');
                text.push_str(name);
            }
            _ => return Err(ErrorKind::InvalidFilename.into()),
        }
    }
    if text.is_empty() && !path.is_absolute() {
        return Err(ErrorKind::InvalidFilename.into());
    }
    Ok(if text.is_empty() { "/".to_owned() } else { text })
}

/// The client's settings are at fault, which may hold secrets and are not repeated.
#[cold]
fn cannot_begin(error: &HdfsError) -> Error {
    let what = match error {
        HdfsError::InvalidArgument(_) => {
            "the URL has no port and no nameservice of its name is configured; name the port, or a \
             nameservice of the hdfs-site.xml in HADOOP_CONF_DIR"
        }
        HdfsError::XmlParseError(_) | HdfsError::IOError(_) => {
            "the configuration cannot be read; check core-site.xml and hdfs-site.xml in \
             HADOOP_CONF_DIR"
        }
        HdfsError::SASLError(_) | HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism => {
            "the credentials cannot be used; check the configuration of Kerberos"
        }
        _ => "the URL or the configuration in HADOOP_CONF_DIR cannot be used",
    };
    Error::invalid_input(format!("the client of HDFS cannot be set up: {what}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn paths_are_absolute_and_plain() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/a//b/", Some("/a/b")),
            ("/a/./b", Some("/a/b")),
            ("", None),
            (".", None),
            ("a/b", None),
            ("/a/../b", None),
            ("/a\0b", None),
        ] {
            assert_eq!(text(Path::new(path)).ok().as_deref(), expected, "{path:?}");
        }
        let raw = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
        assert_eq!(text(raw).unwrap_err().kind(), ErrorKind::InvalidFilename);
    }

    #[test]
    fn nobody_who_listens_is_an_error_of_the_connection() {
        let options = HdfsOptions::default().with_timeout(Duration::from_millis(50));
        // Port 1 of this machine: the client would try for minutes.
        let fs = HdfsFs::connect("hdfs://127.0.0.1:1/x", options).unwrap();
        assert_eq!(fs.url_prefix(), "hdfs://127.0.0.1:1");
        let error = fs.metadata(Path::new("/x")).unwrap_err();
        let kinds = [ErrorKind::TimedOut, ErrorKind::ConnectionRefused];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(fs.sync_directory(Path::new("/x")).is_ok());
        assert_eq!(
            fs.hard_link(Path::new("/x"), Path::new("/y")).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn a_nameservice_that_is_not_configured_is_refused() {
        let refused = HdfsFs::connect("hdfs://nobody-knows/x", HdfsOptions::default()).unwrap_err();
        assert_eq!(refused.kind(), alluvium_state_api::ErrorKind::InvalidInput);
        assert!(refused.message().contains("HADOOP_CONF_DIR"), "{refused}");
    }
}
