//! `tap`: frames to an interface that the sensor makes, for `suricata --af-packet=cap0`,
//! `zeek -i cap0`, `tcpdump -i cap0`.
//!
//! Writing to a TAP runs the sniffer's part of the kernel, so each worker's frames have a thread
//! and a queue of the interface of their own. Nobody knows whether somebody sniffs: *written*
//! means that the interface took it, and what a sniffer drops only the sniffer can say.

use std::fs;
use std::io;
use std::ops::Range;
use std::time::Duration;

use nix::errno::Errno;
use vxscope_linux::{NAME_BYTES_MAX, TapQueue};
use vxscope_units::Timestamp;

use crate::chunk::FrameChunk;
use crate::error::ExportError;
use crate::sink::{Shed, SinkCount, SinkOutcome};
use crate::stream::Haste;
use crate::tagged::{Packer, Tagged};
use crate::vlan::Tags;
use crate::way_out::{Offered, WayOut};

/// What the name of the interface for truncated frames ends with.
const CUT: &str = "-cut";
/// Ticks between two attempts to make an interface that is gone: a second.
const RETRY_TICKS: u32 = 10;
/// How often a first sniffer is looked for, of a finite input.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a first sniffer has to get ready after its socket is there: libpcap throws away what
/// comes before its filter.
const READY: Duration = Duration::from_millis(500);
/// How long the interface stays after the last frame of a finite input: a sniffer looks at its
/// ring once a second, and throws away what it has not read when the interface goes.
const LINGER: Duration = Duration::from_millis(1_500);

/// What becomes of frames that were cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// They are shed and counted.
    Drop,
    /// They go where the others go.
    Pass,
    /// They go to an interface of their own, `NAME-cut`.
    OwnTap,
}

/// How an interface is made.
#[derive(Clone, Debug)]
pub struct TapSettings {
    /// Its MTU, by which sniffers size their buffers; longer frames pass all the same.
    pub mtu: u32,
    /// Threads that write to it.
    pub lanes: usize,
    /// What becomes of frames that were cut short.
    pub truncated: Truncated,
    /// Whether a first sniffer is waited for.
    pub haste: Haste,
}

/// One thread's part; see the module.
#[derive(Debug)]
pub struct Tap {
    settings: TapSettings,
    packer: Packer,
    whole: Interface,
    cut: Option<Interface>,
    was_sniffed: bool,
    count: SinkCount,
    too_long_for_mtu: u64,
}

/// An interface that may go away and come back.
#[derive(Debug)]
struct Interface {
    name: String,
    queue: Option<TapQueue>,
    wait: u32,
    made_anew: u64,
}

impl Tap {
    /// Its name as in `--export`.
    pub const NAME: &str = "tap";

    /// Makes the interface, with a part for each thread.
    ///
    /// # Errors
    /// The name cannot be one, somebody else has it, or `CAP_NET_ADMIN` is missing.
    pub fn open(name: &str, tags: &Tags, settings: &TapSettings) -> Result<Vec<Self>, ExportError> {
        let cut = format!("{name}{CUT}");
        let wants_cut = settings.truncated == Truncated::OwnTap;
        if wants_cut && cut.len() > NAME_BYTES_MAX {
            let text = format!("\"{cut}\" is longer than {NAME_BYTES_MAX} bytes");
            let cause = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(ExportError::interface(name, cause));
        }
        let lane = |number: usize| -> Result<Self, ExportError> {
            let is_first = number == 0;
            let open = |name: &str| Interface::open(name, settings, is_first);
            Ok(Self {
                settings: settings.clone(),
                packer: Packer::new(tags.clone()),
                whole: open(name)?,
                cut: wants_cut.then(|| open(&cut)).transpose()?,
                was_sniffed: false,
                count: SinkCount::default(),
                too_long_for_mtu: 0,
            })
        };
        (0..settings.lanes).map(lane).collect()
    }

    /// What could not be set on the interface.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.whole.queue.as_ref().map_or(&[], TapQueue::warnings)
    }

    fn push(&mut self, tagged: &Tagged<'_>) {
        let interface = match (tagged.is_truncated(), &mut self.cut) {
            (true, Some(cut)) => cut,
            (true, None) if self.settings.truncated == Truncated::Drop => {
                return self.count.add_shed(Shed::Truncated, 1);
            }
            _ => &mut self.whole,
        };
        match interface.write(tagged) {
            Ok(()) => {
                self.count.add_written(1);
                // What an interface of this MTU would carry, with its header and two tags.
                let usual = self.settings.mtu + 22;
                self.too_long_for_mtu += u64::from(tagged.captured_len() > usual);
            }
            Err(reason) => self.count.add_shed(reason, 1),
        }
    }

    /// Of a finite input nothing is written before somebody sniffs.
    fn wait_for_sniffer(&mut self) {
        if self.settings.haste == Haste::Live {
            return;
        }
        while !self.was_sniffed {
            self.was_sniffed = sniffers(&self.whole.name) > 0;
            std::thread::sleep(if self.was_sniffed { READY } else { LOOK_EVERY });
        }
    }
}

impl WayOut for Tap {
    fn frames(&mut self, chunk: &FrameChunk, positions: Range<usize>) {
        self.wait_for_sniffer();
        let mut packer = std::mem::take(&mut self.packer);
        for frame in chunk.frames(positions) {
            match packer.tag(frame) {
                Ok(tagged) => self.push(&tagged),
                Err(reason) => self.count.add_shed(reason, 1),
            }
        }
        self.packer = packer;
    }

    fn tick(&mut self, _: Timestamp) {
        for interface in [Some(&mut self.whole), self.cut.as_mut()]
            .into_iter()
            .flatten()
        {
            interface.look(&self.settings);
        }
    }

    fn count(&self) -> SinkCount {
        self.count
    }

    fn finish(self: Box<Self>) -> SinkOutcome {
        if self.settings.haste == Haste::Finite && self.was_sniffed {
            std::thread::sleep(LINGER);
        }
        let anew = self.whole.made_anew + self.cut.as_ref().map_or(0, |it| it.made_anew);
        SinkOutcome {
            name: Self::NAME.to_owned(),
            offered: Offered::Frames,
            count: self.count,
            readers: Vec::new(),
            details: vec![
                ("queues_reopened", anew),
                ("longer_than_mtu", self.too_long_for_mtu),
            ],
            error: None,
        }
    }
}

impl Interface {
    fn open(name: &str, settings: &TapSettings, is_first: bool) -> Result<Self, ExportError> {
        let queue = TapQueue::open(name, settings.mtu, settings.lanes, is_first);
        let queue = queue.map_err(|cause| ExportError::interface(name, cause))?;
        Ok(Self {
            name: name.to_owned(),
            queue: Some(queue),
            wait: 0,
            made_anew: 0,
        })
    }

    fn write(&mut self, tagged: &Tagged<'_>) -> Result<(), Shed> {
        let queue = self.queue.as_ref().ok_or(Shed::NoInterface)?;
        let Err(error) = queue.write(tagged.parts()) else {
            return Ok(());
        };
        Err(match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBADFD) => {
                // The interface, or the network it was in, is gone for good.
                self.queue = None;
                Shed::NoInterface
            }
            // Somebody set it down, and may set it up again.
            Some(Errno::EIO | Errno::ENETDOWN) => Shed::NoInterface,
            Some(Errno::EINVAL) if tagged.frame.bytes.len() < 14 => Shed::TooShort,
            Some(Errno::EMSGSIZE | Errno::EINVAL) => Shed::TooLong,
            _ => Shed::SendError,
        })
    }

    /// Makes it again if it is gone.
    fn look(&mut self, settings: &TapSettings) {
        if self.queue.is_some() {
            return;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        self.wait = RETRY_TICKS;
        // Whichever thread comes first makes it, the others join.
        if let Ok(queue) = TapQueue::open(&self.name, settings.mtu, settings.lanes, false) {
            self.queue = Some(queue);
            self.made_anew += 1;
        }
    }
}

/// Sockets of this network that sniff on an interface.
fn sniffers(name: &str) -> usize {
    let index = nix::net::if_::if_nametoindex(name);
    let (Ok(index), Ok(sockets)) = (index, fs::read_to_string("/proc/net/packet")) else {
        return 0;
    };
    // sk RefCnt Type Proto Iface R Rmem User Inode; without a protocol it is not ready yet.
    let sniffs = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, protocol, interface, ..] = fields.as_slice() else {
            return false;
        };
        interface.parse() == Ok(index) && u16::from_str_radix(protocol, 16).is_ok_and(|it| it != 0)
    };
    sockets.lines().filter(sniffs).count()
}
