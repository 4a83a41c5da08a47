//! The asker's part: sends an inquiry to all workers and puts their parts together.

use std::net::IpAddr;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use thiserror::Error;
use vxscope_export::{Extracted, ExtractedFlow, Packets};
use vxscope_flow::{Search, Sighting, Which};
use vxscope_units::Vni;

use super::retriever::{Inquiry, Part};
use super::watch::Watch;
use crate::command::Commands;

/// Parts that wait for who asked. When they are full a worker goes on with its packets and looks
/// again at its next turn.
const PARTS: usize = 32;
/// How long nothing may come from any worker.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which flows, of which sources.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) which: Which,
    pub(crate) vni: Option<Vni>,
    /// Of the mirror source.
    pub(crate) address: Option<IpAddr>,
}

/// How much at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) flows: usize,
    /// 0: no packets are wanted.
    pub(crate) bytes: usize,
}

/// What was found, by the flows' starts.
#[derive(Debug, Default)]
pub(crate) struct Retrieved {
    pub(crate) flows: Vec<Found>,
    /// There was more than the limits allow.
    pub(crate) limited: bool,
}

/// One flow and its packets.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) flow: Sighting,
    /// Packets that a watch has.
    later: u64,
    pub(crate) packets: Packets,
}

impl Found {
    /// As it is told.
    pub(crate) fn entry(&self) -> Extracted {
        let (originator, responder) = self.flow.tuple.addresses.pair();
        let flow = ExtractedFlow {
            flow_id: self.flow.flow_id,
            community_id: self.flow.community_id(),
            source: self.flow.source,
            protocol: self.flow.tuple.protocol,
            originator: (originator, self.flow.tuple.source_port),
            responder: (responder, self.flow.tuple.destination_port),
        };
        let seen = self.flow.packets.saturating_sub(self.later);
        Extracted {
            open: Some(self.flow.open),
            ..Extracted::new(&flow, seen, &self.packets)
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unanswered {
    #[error("the sensor is stopping")]
    Stopped,
    #[error("a worker did not answer in time")]
    TooSlow,
}

/// Finds flows and copies their packets. With a watch every worker also begins to watch, at the
/// very place of its input up to which the packets here go.
pub(crate) fn retrieve(
    commands: &Commands,
    query: &Query,
    limits: Limits,
    watch: Option<&Watch>,
) -> Result<Retrieved, Unanswered> {
    let (answers, parts) = bounded(PARTS);
    let workers = commands.inquire(&Inquiry {
        search: Search::new(query.which.clone(), query.vni, query.address),
        flows_max: limits.flows,
        packets: limits.bytes > 0,
        answers,
        watch: watch.cloned(),
    })?;
    let mut retrieved = Retrieved::default();
    let mut under_way: Vec<Option<Found>> = (0..workers).map(|_| None).collect();
    let (mut bytes, mut done) = (0, 0);
    while done < workers {
        let (worker, part) = match parts.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => return Err(Unanswered::TooSlow),
            Err(RecvTimeoutError::Disconnected) => return Err(Unanswered::Stopped),
        };
        let Some(current) = under_way.get_mut(worker) else {
            continue;
        };
        match part {
            Part::Flow(flow) => {
                let before = current.replace(Found {
                    flow: *flow,
                    later: 0,
                    packets: Packets::default(),
                });
                retrieved.flows.extend(before);
            }
            Part::Packets(packets) => {
                bytes += packets.bytes();
                if let Some(found) = current {
                    found.packets.append(&packets);
                }
            }
            Part::End { later } => {
                if let Some(mut found) = current.take() {
                    found.later = later;
                    retrieved.flows.push(found);
                }
            }
            Part::Done { limited } => {
                done += 1;
                retrieved.limited |= limited;
                retrieved.flows.extend(current.take());
            }
        }
        if bytes > limits.bytes {
            // The workers notice that nobody listens.
            retrieved.limited = true;
            break;
        }
    }
    retrieved.flows.extend(under_way.into_iter().flatten());
    retrieved
        .flows
        .sort_by_key(|found| (found.flow.start, found.flow.flow_id));
    if retrieved.flows.len() > limits.flows {
        // The limit holds for each worker; the newest are what is looked for.
        let older = retrieved.flows.len() - limits.flows;
        retrieved.flows.drain(..older);
        retrieved.limited = true;
    }
    Ok(retrieved)
}
