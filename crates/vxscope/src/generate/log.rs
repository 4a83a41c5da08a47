//! One line of JSON for each packet that left.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vxscope_sim::traffic::Datagram;

use super::{BUFFER_BYTES, cannot_write};
use crate::failure::Failure;

/// The log, if one is asked for.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<(PathBuf, BufWriter<File>)>,
    lines: u64,
}

/// What is known of a packet that left.
#[derive(Debug, Serialize)]
struct Line {
    /// Counts the lines from 0.
    n: u64,
    /// Number of the packet, or the one it is a copy of, in the order in which they were made.
    made: u64,
    source: IpAddr,
    vni: u32,
    kind: &'static str,
    bytes: usize,
}

impl Log {
    pub(super) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let file = path.map(|path| match File::create(path) {
            Ok(file) => Ok((
                path.to_owned(),
                BufWriter::with_capacity(BUFFER_BYTES, file),
            )),
            Err(error) => Err(cannot_write(path, &error)),
        });
        Ok(Self {
            file: file.transpose()?,
            lines: 0,
        })
    }

    pub(super) fn write(&mut self, datagram: &Datagram) -> Result<(), Failure> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        let line = Line {
            n: self.lines,
            made: datagram.made,
            source: datagram.outer_ip,
            vni: datagram.vni,
            kind: datagram.kind.name(),
            bytes: datagram.bytes,
        };
        self.lines += 1;
        serde_json::to_writer(&mut *file, &line)
            .map_err(Into::into)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|error| cannot_write(path, &error))
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.file {
            None => Ok(()),
            Some((path, mut file)) => file.flush().map_err(|error| cannot_write(&path, &error)),
        }
    }
}
