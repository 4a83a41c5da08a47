//! What a report shows, for everybody whom it concerns.

use std::collections::BTreeSet;

use vxscope_control::guard::Pin;
use vxscope_control::keeper::Keeper;
use vxscope_policy::money::{Ledger, Traffic};
use vxscope_policy::{Observation, Observer, SensorKey, SourceKey};
use vxscope_report::EventKind;
use vxscope_units::Timestamp;

use super::row;
use crate::mind::Mind;

/// Passes on what a report shows, to everybody whom it concerns.
pub(super) struct Watch<'a> {
    pub(super) mind: &'a mut Mind,
    pub(super) keeper: &'a mut Keeper,
    pub(super) ledger: &'a mut Ledger,
    pub(super) fresh: &'a mut BTreeSet<SourceKey>,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Observer for Watch<'_> {
    fn handle_tick(&mut self, sensor: SensorKey, from: Timestamp, to: Timestamp, loss_free: bool) {
        (self.from, self.to) = (from, to);
        self.mind.handle_tick(sensor, from, to, loss_free);
    }

    fn handle_move(&mut self, source: SourceKey, sensor: SensorKey, now: Timestamp) {
        self.mind.handle_move(source, sensor, now);
    }

    fn observe(&mut self, source: SourceKey, observation: &Observation<'_>) {
        if self.fresh.remove(&source) {
            return;
        }
        if observation.packets > 0 {
            self.keeper.handle_packets(row(source), self.from);
        }
        let traffic = Traffic {
            packets: observation.packets,
            bytes: observation.bytes.sum(),
        };
        self.ledger.observe(source, self.to, traffic, None);
        if observation.events[EventKind::Alert.index()] > 0 {
            let lasts = self.mind.policy().rules().limits.alert_pin;
            self.keeper.pin(row(source), Pin::Alert, lasts, self.to);
        }
        self.mind.observe(source, observation);
    }
}
