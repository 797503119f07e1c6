//! Writing a file through the page cache, in the thread of whoever has the bytes.
//!
//! # Cost
//! Bytes are copied at most once: pieces as large as the buffer go straight to the file. A long file is
//! pushed to the disk while it is written, by one helper thread at a time, so that the disk works from the
//! beginning and the final sync is short.

use std::io;
use std::mem;
use std::thread::{self, JoinHandle};

use super::LocalOptions;
use super::stream::Target;
use crate::vfs::WriteFile;

/// See the module.
pub(super) struct Cached {
    target: Target,
    buffer: Vec<u8>,
    capacity: usize,
    early: EarlyWriteBack,
}

impl Cached {
    pub(super) fn new(target: Target, options: &LocalOptions) -> Self {
        let capacity = usize::try_from(options.write_buffer_bytes).unwrap_or(usize::MAX);
        let early = EarlyWriteBack::every(options.write_back_bytes);
        Self { target, buffer: Vec::new(), capacity, early }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len().saturating_add(bytes.len()) < self.capacity {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_buffer()?;
        if bytes.len() >= self.capacity {
            return self.pass_on(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let mut buffer = mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            self.pass_on(&buffer)?;
        }
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn pass_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.target.write(bytes)?;
        self.early.after(bytes.len() as u64, &*self.target.file)
    }

    /// Writes what is left, waits for the helper, and returns the target, which is still to be synced.
    pub(super) fn end(mut self) -> io::Result<Target> {
        self.write_buffer()?;
        self.early.wait()?;
        Ok(self.target)
    }

    /// The target and what is buffered, if nothing was written yet.
    pub(super) fn untouched(self) -> Result<(Target, Vec<u8>), Self> {
        if self.target.is_empty() { Ok((self.target, self.buffer)) } else { Err(self) }
    }
}

/// Pushes a growing file to the disk from a helper thread, whenever enough was written.
struct EarlyWriteBack {
    every: u64,
    since: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl EarlyWriteBack {
    /// After every so many bytes; never if that is 0.
    fn every(bytes: u64) -> Self {
        Self { every: bytes, since: 0, running: None }
    }

    /// Takes note of `written` bytes more, and pushes if it is time.
    fn after(&mut self, written: u64, file: &dyn WriteFile) -> io::Result<()> {
        self.since = self.since.saturating_add(written);
        let due = self.every > 0 && self.since >= self.every;
        if !due || self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        self.since = 0;
        if let Some(handle) = file.write_back()? {
            // Without a thread the final sync does it all.
            let builder = thread::Builder::new().name("write-back".into());
            self.running = builder.spawn(move || handle.run()).ok();
        }
        Ok(())
    }

    /// Waits for what is being pushed.
    fn wait(&mut self) -> io::Result<()> {
        match self.running.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the write-back thread panicked")),
        }
    }
}

impl Drop for EarlyWriteBack {
    fn drop(&mut self) {
        // The file is being discarded; so is what its write-back says.
        drop(self.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::WriteBack;

    #[derive(Debug)]
    struct FailingWriteBack;

    impl io::Write for FailingWriteBack {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl WriteFile for FailingWriteBack {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn write_back(&self) -> io::Result<Option<Box<dyn WriteBack>>> {
            Ok(Some(Box::new(Self)))
        }
    }

    impl WriteBack for FailingWriteBack {
        fn run(self: Box<Self>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_failed_early_write_back_loses_the_file_though_the_final_sync_would_succeed() {
        let open = |every| {
            let options = LocalOptions { write_back_bytes: every, ..LocalOptions::default() };
            Cached::new(Target::new(Box::new(FailingWriteBack)), &options)
        };
        let mut file = open(10);
        file.pass_on(&[0; 9]).unwrap();
        file.pass_on(&[0; 1]).unwrap();
        assert!(file.end().is_err());
        let mut never = open(0);
        never.pass_on(&[0; 100]).unwrap();
        never.end().unwrap();
    }
}
