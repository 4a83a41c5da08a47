//! An instance, as `DescribeInstances` has it.

use super::Tags;

/// `Instance` of the EC2 API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// `InstanceId`.
    pub id: String,
    /// `InstanceType`, such as `m5.xlarge`.
    pub kind: String,
    /// `State.Name`.
    pub state: InstanceState,
    /// `Placement.AvailabilityZone`.
    pub zone: String,
    /// `VpcId`.
    pub vpc: String,
    /// `OwnerId` of the reservation.
    pub account: String,
    /// `Platform`, which is absent for everything but Windows.
    pub platform: Platform,
    /// `TagSet`.
    pub tags: Tags,
}

vxscope_units::reasons! {
    /// `InstanceState.Name`.
    pub enum InstanceState {
        /// It starts.
        Pending = "pending",
        /// It runs.
        Running = "running",
        /// It is about to be terminated.
        ShuttingDown = "shutting-down",
        /// It is gone, and shown for a while.
        Terminated = "terminated",
        /// It is about to be stopped.
        Stopping = "stopping",
        /// It is stopped; its interfaces stay, and their sessions are billed.
        Stopped = "stopped",
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the macro that makes the enum has no place for #[default]"
)]
impl Default for InstanceState {
    fn default() -> Self {
        Self::Running
    }
}

impl InstanceState {
    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// Whether it has traffic, or will have soon.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Whether it is gone for good, and its interfaces with it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// What runs on it, as far as EC2 tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// Linux and other Unix systems.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

/// `InstanceTypeInfo`, as far as mirroring depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceKind {
    /// `VCpuInfo.DefaultVCpus`.
    pub cores: u32,
    /// `MemoryInfo.SizeInMiB`.
    pub memory_mib: u64,
    /// `NetworkInfo.NetworkCards[].BaselineBandwidthInGbps`, summed, in Mbit/s.
    pub baseline_mbps: Option<u32>,
}
