//! Opens the rings of all workers.

use std::io;
use std::sync::Arc;

use vxscope_linux::ring::{PacketRing, RingSize};
use vxscope_linux::tap_drop::TapDrop;
use vxscope_linux::udp::UdpSocket;
use vxscope_linux::{LoadedProgram, Purpose};
use vxscope_wire::bpf::{Program, Selection, drop_selected};
use vxscope_wire::{Options, Ports, Tunnel};

use super::error::{RingError, RingWarning, option};
use super::source::RingSource;
use crate::program::{extended_instructions, instructions};
use crate::udp::{Interface, UdpGroup, UdpSettings, UdpWarning};

/// Bytes of a ring's block: many packets, and still the longest that there are.
const BLOCK_BYTES: usize = 256 << 10;
/// Of a ring of less than this many blocks, shorter ones.
const BLOCKS_MIN: usize = 4;
/// A packet of IP is no longer than this.
const BLOCK_BYTES_MIN: usize = 64 << 10;

/// What was opened.
#[derive(Debug)]
pub struct RingOpened {
    /// One source for each worker, in the workers' order.
    pub sources: Vec<RingSource>,
    /// The ports that are held, in the order of the settings.
    pub groups: Vec<UdpGroup>,
    /// What costs more than it should.
    pub warnings: Vec<RingWarning>,
    /// What is less than was asked for.
    pub udp_warnings: Vec<UdpWarning>,
}

/// What keeps the host quiet, for as long as a ring lives.
#[derive(Debug)]
pub(super) struct Quiet {
    _held: Vec<UdpSocket>,
    _drop: Option<TapDrop>,
}

/// Opens a ring for each worker on the settings' interface. The receive buffer is the length of a
/// ring, all of which is memory from now on.
///
/// # Errors
/// The first [`RingError`]; what was opened before is closed.
pub fn open(settings: &UdpSettings) -> Result<RingOpened, RingError> {
    // Without a capability it is of no use to look for more.
    let interface = settings.interface.as_ref().ok_or(RingError::NoInterface)?;
    try_one(settings)?;
    let held = settings.hold()?;
    let options = options(&held.groups);
    let selection = Selection {
        ports: held.groups.iter().map(|group| group.port).collect(),
        address: Some(settings.address).filter(|it| it.is_ipv4() || !it.is_unspecified()),
    };
    let rings = group(settings, interface, &options)?;
    let filter = instructions(&Program::selecting(&selection));
    for ring in &rings {
        ring.select(&filter).map_err(option("a filter"))?;
    }
    let link_header = rings.first().map_or(0, PacketRing::link_header);
    let mut warnings = Vec::new();
    let dropping = keep_from_stack(interface, &selection, link_header);
    let quiet = Arc::new(Quiet {
        _held: held.sockets,
        _drop: dropping
            .map_err(|error| warnings.push(stack_pays(interface, &error)))
            .ok(),
    });
    let sources = rings
        .into_iter()
        .map(|ring| RingSource::new(ring, options, quiet.clone()));
    Ok(RingOpened {
        sources: sources.collect::<Result<_, _>>()?,
        groups: held.groups,
        warnings,
        udp_warnings: held.warnings,
    })
}

/// Opens a small ring and closes it: whether there could be one.
///
/// # Errors
/// [`RingError`]: why not.
pub(crate) fn try_one(settings: &UdpSettings) -> Result<(), RingError> {
    let interface = settings.interface.as_ref().ok_or(RingError::NoInterface)?;
    ring(interface, size(0)).map(drop)
}

/// The rings of all workers, shut, in the order of their indices.
fn group(
    settings: &UdpSettings,
    interface: &Interface,
    options: &Options,
) -> Result<Vec<PacketRing>, RingError> {
    let program = Program::steering_packets(settings.seed, settings.workers, options);
    let size = size(settings.receive_buffer.as_usize());
    let first = ring(interface, size)?;
    let group = first.found_group(&instructions(&program));
    let group = group.map_err(|source| RingError::Steering { source })?;
    let mut rings = vec![first];
    for _ in 1..settings.workers.get() {
        let next = ring(interface, size)?;
        next.join_group(group).map_err(option("PACKET_FANOUT"))?;
        rings.push(next);
    }
    Ok(rings)
}

fn ring(interface: &Interface, size: RingSize) -> Result<PacketRing, RingError> {
    let name = interface.name().to_owned();
    PacketRing::open(interface.index(), size).map_err(|source| match source.raw_os_error() {
        _ if source.kind() == io::ErrorKind::PermissionDenied => RingError::Denied,
        _ if source.kind() == io::ErrorKind::NetworkDown => RingError::InterfaceDown { name },
        _ => RingError::Ring { name, source },
    })
}

/// Blocks for about so many bytes.
fn size(bytes: usize) -> RingSize {
    let block_bytes = (bytes / BLOCKS_MIN).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES);
    let block_bytes = 1 << block_bytes.ilog2();
    RingSize {
        block_bytes,
        blocks: (bytes / block_bytes).max(2),
    }
}

/// A program at the interface's ingress.
fn keep_from_stack(
    interface: &Interface,
    selection: &Selection,
    link_header: u8,
) -> io::Result<TapDrop> {
    let program = drop_selected(selection, link_header);
    let program = extended_instructions(&program);
    LoadedProgram::load(&program, Purpose::Ingress)?.attach(interface.index())
}

fn stack_pays(interface: &Interface, error: &io::Error) -> RingWarning {
    RingWarning::StackPays {
        name: interface.name().to_owned(),
        reason: error.to_string(),
    }
}

/// Which port carries which tunnel. There are no more of each than a set takes: settings with
/// more are refused where the ports are held.
fn options(groups: &[UdpGroup]) -> Options {
    let ports = |tunnel| {
        let of = groups.iter().filter(|group| group.tunnel == tunnel);
        let ports: Vec<u16> = of.map(|group| group.port).take(Ports::CAPACITY).collect();
        Ports::try_new(&ports).unwrap_or(Ports::NONE)
    };
    Options {
        vxlan_ports: ports(Tunnel::Vxlan),
        geneve_ports: ports(Tunnel::Geneve),
        depth: 0,
    }
}
