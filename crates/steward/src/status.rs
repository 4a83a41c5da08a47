//! How the mirrors stand, for whoever asks.

use vxscope_report::{MirrorState, MirrorStatus};
use vxscope_units::Timestamp;

use crate::steward::Steward;

impl Steward {
    /// How everything stands, sources by address and VNI.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> MirrorStatus {
        let states = self.enrolled().map(|(key, mirror)| {
            let pinned = self.policy().pinned_until(key).filter(|until| *until > now);
            MirrorState {
                outer_ip: mirror.address,
                vni: mirror.vni.get(),
                grade: self.grade(mirror).name().to_owned(),
                pinned_until: pinned.map(|until| until.as_nanos() / 1_000),
            }
        });
        let mirrors: Vec<MirrorState> = states.collect();
        let full = vxscope_units::Grade::Full.name();
        let lowered = mirrors.iter().filter(|one| one.grade != full).count();
        MirrorStatus {
            mode: self.policy().rules().mode.name().to_owned(),
            mode_ordered: false,
            held: self.is_held(),
            sources: mirrors.len() as u64,
            lowered: lowered as u64,
            resume_seconds: self.resume_takes().as_secs_f64(),
            mirrors,
        }
    }
}
