//! Which faults are asked for: `loss=0.01,forged=0.1`.

use std::str::FromStr;

use thiserror::Error;

use crate::random::Random;

/// Shares of the packets that suffer a fault, from 0 to 1. A packet suffers one at most, so the
/// first four add up to 1 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Made, but does not leave.
    pub loss: f64,
    /// Leaves one to four packets later than it should.
    pub reorder: f64,
    /// Leaves twice.
    pub duplicate: f64,
    /// Some bytes of the tunnel's headers or of the inner frame are flipped, or the end is cut.
    pub corrupt: f64,
    /// Packets beside the others, as a share of them: copies that come from an address or with a
    /// VNI of no source.
    pub forged: f64,
}

/// Why faults cannot be as they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// Not a list of names and shares.
    #[error("faults: {NAMES}, each once, as in loss=0.01,forged=0.1")]
    Name,
    /// A share that is none.
    #[error("faults: {name}: a share from 0 to 1")]
    Share {
        /// Whose.
        name: &'static str,
    },
    /// More than all packets.
    #[error("faults: loss, reorder, duplicate and corrupt are at most 1 together")]
    Sum,
}

const NAMES: &str = "loss, reorder, duplicate, corrupt and forged";

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Leave,
    Loss,
    Reorder,
    Duplicate,
    Corrupt,
}

impl Faults {
    /// Checks every share.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn check(&self) -> Result<(), FaultsError> {
        let mut copy = *self;
        for (name, share) in copy.shares() {
            if !(0.0..=1.0).contains(share) {
                return Err(FaultsError::Share { name });
            }
        }
        // Shares such as 0.1 are not exact, and neither is their sum.
        if self.loss + self.reorder + self.duplicate + self.corrupt > 1.0 + 1e-9 {
            return Err(FaultsError::Sum);
        }
        Ok(())
    }

    pub(crate) fn fate(&self, random: &mut Random) -> Fate {
        let mut drawn = random.share();
        let fates = [
            (self.loss, Fate::Loss),
            (self.reorder, Fate::Reorder),
            (self.duplicate, Fate::Duplicate),
            (self.corrupt, Fate::Corrupt),
        ];
        for (share, fate) in fates {
            if drawn < share {
                return fate;
            }
            drawn -= share;
        }
        Fate::Leave
    }

    fn shares(&mut self) -> [(&'static str, &mut f64); 5] {
        [
            ("loss", &mut self.loss),
            ("reorder", &mut self.reorder),
            ("duplicate", &mut self.duplicate),
            ("corrupt", &mut self.corrupt),
            ("forged", &mut self.forged),
        ]
    }
}

/// Names and shares with commas between them; what is not named is 0.
impl FromStr for Faults {
    type Err = FaultsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut faults = Self::default();
        let mut named = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.split_once('=').ok_or(FaultsError::Name)?;
            let mut shares = faults.shares().into_iter();
            let (name, place) = shares
                .find(|(known, _)| *known == name)
                .ok_or(FaultsError::Name)?;
            if named.contains(&name) {
                return Err(FaultsError::Name);
            }
            *place = share.parse().map_err(|_| FaultsError::Share { name })?;
            named.push(name);
        }
        faults.check().map(|()| faults)
    }
}
