//! Opens what the user named, by mapping it or as a stream.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use vxscope_linux::MappedFile;

use crate::block::{Block, Bytes};
use crate::error::CaptureError;
use crate::stream::{BLOCK_BYTES, Stream};
use crate::walk::Walk;

/// A capture to be read once, from front to back.
pub struct Input {
    name: Arc<str>,
    source: Source,
}

enum Source {
    /// All bytes in one block, until it is taken.
    Whole {
        block: Option<Arc<Block>>,
        bytes: u64,
    },
    Stream(Stream),
}

/// Opens a capture: `-` is standard input, regular files are mapped, all else is streamed.
///
/// A mapped file must not be truncated or rewritten until it has been read: cutting it ends the
/// process (SIGBUS, see [`MappedFile`]). Captures that are still being written may grow; the part
/// that is there when the file is opened is read. Whoever cannot rule out truncation pipes the
/// file in.
///
/// # Errors
/// [`CaptureError::Open`] if the file is missing, unreadable or a directory. Whether it is a
/// capture is found out by walking it.
pub fn open(path: &Path) -> Result<Input, CaptureError> {
    let name: Arc<str> = path.to_string_lossy().into();
    if path.as_os_str() == "-" {
        return Ok(Input::from_reader(&name, io::stdin()));
    }
    let source = open_file(path).map_err(|source| CaptureError::Open {
        file: name.clone(),
        source,
    })?;
    Ok(Input { name, source })
}

fn open_file(path: &Path) -> io::Result<Source> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Files of /proc and the like say they are empty, so an empty file is read to be sure; and
    // some file systems cannot map.
    if metadata.is_file()
        && metadata.len() > 0
        && let Ok(mapped) = MappedFile::open(&file)
    {
        return Ok(Source::whole(Bytes::Mapped(mapped)));
    }
    Ok(Source::Stream(Stream::new(Box::new(file), BLOCK_BYTES)))
}

impl Input {
    /// A stream, such as a pipe: cut into blocks of about 1 MiB at record boundaries. A block is
    /// published when it is full or the stream ends.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        Self::with_block_bytes(name, reader, BLOCK_BYTES)
    }

    /// A capture that is part of the program.
    #[must_use]
    pub fn from_static(name: &str, bytes: &'static [u8]) -> Self {
        Self {
            name: name.into(),
            source: Source::whole(Bytes::Static(bytes)),
        }
    }

    /// A capture in memory.
    #[must_use]
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            source: Source::whole(Bytes::Buffer(bytes)),
        }
    }

    /// A stream cut into blocks of about `block_bytes`, at least one record each.
    pub fn with_block_bytes(
        name: &str,
        reader: impl Read + Send + 'static,
        block_bytes: usize,
    ) -> Self {
        let stream = Stream::new(Box::new(reader), block_bytes);
        Self {
            name: name.into(),
            source: Source::Stream(stream),
        }
    }

    /// As the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length of the input, if it is known beforehand.
    #[must_use]
    pub const fn total_bytes(&self) -> Option<u64> {
        match &self.source {
            Source::Whole { bytes, .. } => Some(*bytes),
            Source::Stream(_) => None,
        }
    }

    /// A walk that names this input in its errors; one for each worker.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk::new(self.name.clone())
    }

    /// The next block, `None` after the last.
    ///
    /// # Errors
    /// [`CaptureError::Read`], once, after the records that arrived before the failure; then the
    /// input is at its end, without a last block.
    pub fn next_block(&mut self) -> Result<Option<Arc<Block>>, CaptureError> {
        match &mut self.source {
            Source::Whole { block, .. } => Ok(block.take()),
            Source::Stream(stream) => match stream.next_block() {
                Ok(block) => Ok(block.map(Arc::new)),
                Err(source) => {
                    let (file, offset) = (self.name.clone(), stream.received());
                    Err(CaptureError::Read {
                        file,
                        offset,
                        source,
                    })
                }
            },
        }
    }
}

impl Source {
    fn whole(bytes: Bytes) -> Self {
        let block = Block::new(bytes, 0, true);
        let bytes = block.as_ref().len() as u64;
        Self::Whole {
            block: Some(Arc::new(block)),
            bytes,
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
