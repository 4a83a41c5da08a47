//! From the configuration to what each worker gets: sizes, seeds, limits.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU16;
use std::sync::Arc;

use vxscope_config::{Config, Duplicates, FlowScope as ConfigScope, PairTimeouts};
use vxscope_export::{DuplicateTally, Names};
use vxscope_flow::{Admission, FlowLimits, FlowScope, Payloads, RingSizes, Timeout, Timeouts};
use vxscope_signals::{Book, BookLimits, Role, Roles};
use vxscope_units::{BindTable, ByteSize};
use vxscope_wire::{Options, Ports};

use crate::error::EngineError;
use crate::follower::Desk;
use crate::outlet::batches_waiting;

/// What every worker is made from; all workers get the same.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Worker threads.
    pub workers: NonZeroU16,
    /// What to open.
    pub options: Options,
    /// Limits of one worker's flow tables and rings.
    pub limits: FlowLimits,
    /// First fragments each worker remembers.
    pub fragments_max: usize,
    /// Seed of the steering function.
    pub steering_seed: u32,
}

impl Plan {
    /// Divides what the configuration grants among the workers.
    ///
    /// # Errors
    /// [`EngineError::Ports`] if more ports are configured than a sensor listens on.
    pub fn try_new(config: &Config) -> Result<Self, EngineError> {
        let workers = config.workers;
        let flows_max = usize::try_from(config.flow.flows_max).unwrap_or(usize::MAX);
        let flows_max = flows_max.div_ceil(usize::from(workers.get()));
        let limits = FlowLimits {
            scope: match config.flow.scope {
                ConfigScope::Source => FlowScope::Source,
                ConfigScope::Vni => FlowScope::Vni,
            },
            flows_max,
            sources_max: config.flow.sources_max,
            source_flows_max: part(flows_max, config.flow.source_share).max(1),
            timeouts: timeouts(config),
            active_timeout: config.flow.active_timeout_seconds,
            id_seed: config.seed,
            hash_seed: random(),
            rings: config.rings.enabled.then(|| rings(config)),
            closed_max: 0,
        };
        Ok(Self {
            workers,
            options: Options {
                vxlan_ports: ports(&config.decapsulation.vxlan_ports)?,
                geneve_ports: ports(&config.decapsulation.geneve_ports)?,
                depth: config.decapsulation.depth,
            },
            limits,
            fragments_max: config.flow.fragments_max as usize,
            steering_seed: steering_seed(config.seed),
        })
    }

    /// The same, with memory for closed flows that somebody may ask for.
    #[must_use]
    pub(crate) fn that_remembers(mut self, config: &Config) -> Self {
        let closed_flows = usize::try_from(config.look_back.closed_flows).unwrap_or(usize::MAX);
        self.limits.closed_max = closed_flows.div_ceil(usize::from(self.workers.get()));
        self
    }

    /// Where the signals of all sources come together. `seed` keys hashes that show in no output
    /// but by chance: two things may be taken for one.
    pub(crate) fn desk(&self, config: &Config, seed: u64) -> Result<Arc<Desk>, EngineError> {
        let memory = config.signals.memory.get();
        let limits = BookLimits::new(memory, self.limits.sources_max, seed);
        let looks = config.handoff.duplicates != Duplicates::Off;
        let duplicates = looks.then(DuplicateTally::default);
        let names = Names::new(listed(config)?);
        let book = Book::new(limits);
        Ok(Desk::new(roles(config), seed, book, duplicates, names))
    }

    /// Bytes that the rings of all workers reserve.
    #[must_use]
    pub fn ring_bytes(&self) -> u64 {
        let per_worker = self
            .limits
            .rings
            .map_or(0, |r| r.head_log + r.tail_log + r.pool);
        per_worker as u64 * u64::from(self.workers.get())
    }

    /// Batches of records of a live input that may wait in one place.
    pub(crate) fn batches_waiting(&self) -> usize {
        batches_waiting(self.limits.flows_max * usize::from(self.workers.get()))
    }

    /// Bytes that the flow tables of all workers take once every place is used.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        let limits = &self.limits;
        let open = limits.flows_max as u64 * vxscope_flow::BYTES_PER_FLOW as u64;
        let closed = limits.closed_max as u64 * vxscope_flow::BYTES_PER_CLOSED_FLOW as u64;
        (open + closed) * u64::from(self.workers.get())
    }
}

/// For people: what is reserved and for what.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rings, tables) = (self.ring_bytes() >> 20, self.table_bytes() >> 20);
        let workers = self.workers;
        write!(
            f,
            "{workers} worker(s), rings {rings} MiB, flow tables up to {tables} MiB"
        )
    }
}

/// Which sources are known at the start.
///
/// # Errors
/// [`EngineError::Sources`] if two of them contradict each other, which a configuration that was
/// checked has not.
pub(crate) fn admission(config: &Config) -> Result<Admission, EngineError> {
    let table = listed(config)?;
    Ok(Admission {
        unknown: config.sources.unknown.with(&table),
        table,
    })
}

/// The sources that the configuration lists.
///
/// # Errors
/// As [`admission`].
pub(crate) fn listed(config: &Config) -> Result<Arc<BindTable>, EngineError> {
    let table = BindTable::try_new(config.sources.listed.clone());
    let table = table.map_err(|conflicts| EngineError::Sources {
        count: conflicts.len(),
    })?;
    Ok(Arc::new(table))
}

/// How much of each source's payload is kept.
///
/// # Errors
/// As [`admission`].
pub(crate) fn payloads(config: &Config) -> Result<Payloads, EngineError> {
    Ok(Payloads {
        listed: listed(config)?,
        others: config.sources.payload.into(),
        head_bytes: config.sources.payload_head,
    })
}

fn roles(config: &Config) -> Roles {
    let mut roles = Roles::default();
    for role in &config.signals.roles {
        roles.put(Role::new(role.name.clone(), role.never.iter().copied()));
    }
    roles
}

fn ports(ports: &[u16]) -> Result<Ports, EngineError> {
    Ports::try_new(ports).ok_or(EngineError::Ports { count: ports.len() })
}

fn timeouts(config: &Config) -> Timeouts {
    let pair = |pair: &PairTimeouts| Timeout {
        new: pair.new,
        established: pair.established,
        closed: pair.new,
    };
    let all = &config.flow.timeouts;
    Timeouts {
        tcp: Timeout {
            new: all.tcp.new,
            established: all.tcp.established,
            closed: all.tcp.closed,
        },
        udp: pair(&all.udp),
        icmp: pair(&all.icmp),
        other: pair(&all.other),
    }
}

/// One worker's share of the ring memory, divided into pool, head log and tail log.
fn rings(config: &Config) -> RingSizes {
    let rings = &config.rings;
    let memory = rings.memory.as_usize() / usize::from(config.workers.get());
    let pool = part(memory, rings.private_share);
    let head_log = part(memory - pool, rings.head_share);
    let in_u32 = |size: ByteSize| u32::try_from(size.get()).unwrap_or(u32::MAX / 2);
    RingSizes {
        head_log,
        tail_log: memory - pool - head_log,
        pool,
        head: in_u32(rings.head),
        tail: in_u32(rings.tail),
        private: rings.private.as_usize(),
    }
}

/// `share` (0 to 1) of `whole`, in 65,536ths, so that no rounding depends on the platform.
fn part(whole: usize, share: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share is between 0 and 1, so the number is between 0 and 65,536"
    )]
    let parts = (share.clamp(0.0, 1.0) * 65_536.0) as u128;
    usize::try_from((whole as u128 * parts) >> 16).unwrap_or(whole)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "folds the two halves of the seed"
)]
fn steering_seed(seed: u64) -> u32 {
    (seed >> 32) as u32 ^ seed as u32
}

/// A number that nobody outside knows: the standard library's hasher is keyed by the system's
/// randomness. It keys hash tables and shows in no output.
pub(crate) fn random() -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
